"""FinGPT's benchmark of financial sentiment: its prompts, its way of reading answers, weighted F1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from luthier.data.examples import Labelled
from luthier.data.records import TokenSequence
from luthier.data.rendering import Renderer
from luthier.errors import ConfigError, DataError
from luthier.evaluation.comparison import compare
from luthier.evaluation.evaluate import Counter
from luthier.evaluation.fingpt_sets import LABELS, SEED, SETS, Item, read_items
from luthier.evaluation.results import Answers
from luthier.evaluation.speaker import Speaker, open_speaker
from luthier.progress import Report
from luthier.runs import Run
from luthier.tasks import Prediction
from luthier.tasks.causal_lm import parse_label

METRICS = ("f1_weighted", "accuracy", "f1_macro")
MAX_NEW_TOKENS = 10
MAX_LENGTH = 512

Prompts = Literal["fingpt", "run"]
Parsing = Literal["fingpt", "strict"]

TEMPLATE = (
    "{%- for message in messages -%}{%- if message.role == 'assistant' -%}{{ message.content }}{{ eos_token }}"
    "{%- else -%}{%- set parts = message.content.split('\\n', 1) -%}"
    "{{ 'Instruction: ' + parts[0] + '\\nInput: ' + parts[1] + '\\nAnswer: ' }}{%- endif -%}{%- endfor -%}"
)
"""FinGPT's prompt as a chat template; a message is an instruction, and behind it the text."""


def instruction(kind: str) -> str:
    """What FinGPT asks about a text, which is a `news` or a `tweet`."""
    return f"What is the sentiment of this {kind}? Please choose an answer from {{negative/neutral/positive}}."


def read_answer(raw: str, parsing: Parsing = "fingpt") -> str | None:
    """The label in an answer.

    FinGPT looks for `positive`, then for `negative`, anywhere in the answer, and takes everything else for neutral.
    `strict` reads answers as Luthier does elsewhere: None where no label, or more than one, is named.
    """
    if parsing == "strict":
        return parse_label(raw, LABELS)
    for label in ("positive", "negative"):
        if label in raw or label.capitalize() in raw:
            return label
    return "neutral"


def ask(
    speaker: Speaker,
    items: Sequence[Item],
    *,
    prompts: Prompts = "fingpt",
    parsing: Parsing = "fingpt",
    progress: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """A model's answers to a test set, in the order of its rows.

    A model with a head is asked as it is: it has no prompt.

    Args:
        speaker: the model.
        items: the rows.
        prompts: FinGPT's, or those that the run was trained with.
        parsing: how answers are read.
        progress: told how many more rows are done.
    """
    writes = "generate" in speaker.modes
    rows: list[TokenSequence] = []
    for kind in dict.fromkeys(item.kind for item in items):
        numbered = [(place, item) for place, item in enumerate(items) if item.kind == kind]
        if writes and prompts == "fingpt":
            rows += _in_its_prompt(speaker, numbered, kind)
        else:
            rows += _encoded(speaker, numbered, replace(speaker.renderer, too_long="truncate"))
    rows.sort(key=lambda row: row.row_id)
    mode = "generate" if writes else speaker.modes[0]
    answers = speaker.task.predict(
        speaker.network, speaker.renderer, rows, mode=mode, max_new_tokens=MAX_NEW_TOKENS, progress=progress
    )
    return [
        replace(answer, text=item.text, expected=item.label, parsed=read_answer(answer.raw, parsing), scores={})
        for answer, item in zip(answers, items, strict=True)
    ]


def _in_its_prompt(speaker: Speaker, items: Sequence[tuple[int, Item]], kind: str) -> list[TokenSequence]:
    """Texts in FinGPT's prompt. An encoder-decoder has no template: the whole prompt is its source."""
    most = max(speaker.renderer.max_length, MAX_LENGTH)
    renderer = replace(
        speaker.renderer, system=None, labels=LABELS, max_length=most, too_long="truncate", shots=(), instruction=None
    )
    if speaker.task.head != "seq2seq_lm":
        return _encoded(speaker, items, replace(renderer, template_text=TEMPLATE, instruction=instruction(kind)))
    asked = f"Instruction: {instruction(kind)}\nInput: "
    whole = [(place, replace(item, text=f"{asked}{item.text}\nAnswer: ")) for place, item in items]
    return _encoded(speaker, whole, renderer)


def _encoded(speaker: Speaker, items: Sequence[tuple[int, Item]], renderer: Renderer) -> list[TokenSequence]:
    """Tokens of every text, which are cut where they are too long: none is left out."""
    examples = [(place, Labelled(item.text, item.label)) for place, item in items]
    rows = []
    for (place, item), encoded in zip(items, speaker.task.encode(examples, renderer), strict=True):
        if not isinstance(encoded, list):
            where = f"row {place + 1}: {item.text[:60]}"
            raise DataError(f"a text cannot be asked about: {encoded.reason}", where=where)
        rows.append(encoded[0])
    return rows


def score(base: Sequence[Prediction] | None, tuned: Sequence[Prediction]) -> dict[str, Any]:
    """Both models side by side, as `luthier.evaluation.comparison.compare` has it, with `unmatched`: the share of
    answers of each that name none of the labels.
    """
    models = {"tuned": tuned} | ({"base": base} if base is not None else {})
    unmatched = {
        name: sum(not any(label in row.raw.lower() for label in LABELS) for row in rows) / len(rows)
        for name, rows in models.items()
    }
    return compare(base, tuned, {}, METRICS, LABELS, SEED) | {"unmatched": unmatched}


def run_benchmark(
    run: Run,
    files: Mapping[str, Sequence[str]],
    *,
    prompts: Prompts,
    parsing: Parsing,
    as_given: bool,
    base: bool,
    progress: Report | None = None,
) -> tuple[dict[str, Any], list[Answers]]:
    """Asks a run's model, and its base where that is wanted, about the given sets.

    Returns:
        (prompts, parsing, the model's parameters and the sets' scores; every answer)

    Raises:
        ConfigError: no set is given.
        DataError: a file cannot be read.
    """
    sets = {name: read_items(name, files[name], as_given=as_given) for name in SETS if files.get(name)}
    if not sets:
        raise ConfigError("no test set is given", expected=f"files of some of {', '.join(SETS)}")
    answers = []
    for model in ("base", "tuned") if base else ("tuned",):
        speaker = open_speaker(run, base=model == "base")
        for name, items in sets.items():
            done = Counter(f"{SETS[name].title} ({model})", len(items), progress)
            said = ask(speaker, items, prompts=prompts, parsing=parsing, progress=done)
            answers.append(Answers(model, name, "generate" if "generate" in speaker.modes else speaker.modes[0], said))
    by_model = {(group.model, group.split): group.predictions for group in answers}
    scores = {name: score(by_model.get(("base", name)), by_model["tuned", name]) for name in sets}
    about = {"prompts": prompts, "parsing": parsing, "parameters": run.record.get("parameters")}
    return about | {"sets": scores}, answers
