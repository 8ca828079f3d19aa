"""Tables for the terminal. Cells are plain text objects, so nothing from the data is taken for markup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from luthier.data.ledger import Summary
from luthier.data.splits import SPLITS
from luthier.evaluation.formatting import MODES, number, p_value, share, signed, span
from luthier.evaluation.statistics import outcome
from luthier.languages import retell, tell
from luthier.reporting.scores import models

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_MOST_SHARES = 20
_COLOURS = {"better": "green", "worse": "red", "unclear": ""}


def scores_tables(results: Mapping[str, Any]) -> list[Table]:
    """One table for each split and way of asking, the deciding one first, and for the parts of answers; then general
    text.

    Args:
        results: the content of metrics.json.
    """
    tables = []
    for split, mode, comparison in ordered(results):
        name = tell(", ").join([tell(split), tell(MODES.get(mode, mode))])
        title = tell("{name}: {rows} rows, 95 % intervals", name=name, rows=comparison["rows"])
        tables.append(scores_table(comparison, title))
        for section, part in comparison.get("sections", {}).items():
            title = tell("{name}, {section}: {rows} rows", name=name, section=section, rows=part["rows"])
            tables.append(scores_table(part, title + missing(part)))
    if general := results.get("forgetting"):
        title = tell("general text, what is still known: {rows} rows", rows=general["rows"])
        tables.append(scores_table(general, title))
    return tables


def missing(part: Mapping[str, Any]) -> str:
    """How many answers lack a part, as the end of a title; empty where none does."""
    missed = {model: share(value) for model, value in part["missing"].items() if value}
    shares = [tell("{share} of {model}'s", share=each, model=tell(model)) for model, each in missed.items()]
    return tell("; {shares} answers lack it", shares=tell(" and ").join(shares)) if shares else ""


def signatures(comparison: Mapping[str, Any]) -> list[str]:
    """How scores were computed, for those who compare with other papers."""
    facts = comparison["metrics"].values()
    return [f"{tell(each['title'])}: {each['signature']}" for each in facts if "signature" in each]


def ordered(results: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """All comparisons as (split, mode, comparison), the deciding one first."""
    where = results["primary"]
    found = [(split, mode, c) for split, modes in results["results"].items() for mode, c in modes.items()]
    return sorted(found, key=lambda item: (item[0] != where["split"], item[:2] != (where["split"], where["mode"])))


def scores_table(comparison: Mapping[str, Any], title: str | None = None) -> Table:
    """Metrics down, models across: base, tuned, their difference, then the baselines; intervals below the values."""
    from rich.text import Text

    found = models(comparison)
    order = [name for name in ("base", "tuned") if name in found]
    others = [name for name in found if name not in order]
    table = _table(title, "", *[f">{found[name][0]}" for name in order])
    if comparison["base"]:
        _right(table, tell("Difference"))
    for name in others:
        _right(table, found[name][0])
    for metric, facts in comparison["metrics"].items():
        cells = [_score(found[name][1].get(metric)) for name in order]
        if comparison["base"]:
            cells.append(_difference(comparison["difference"].get(metric), facts["higher_is_better"]))
        cells += [_score(found[name][1].get(metric)) for name in others]
        table.add_row(Text(tell(facts["title"])), *cells)
    if told := signatures(comparison):
        table.caption, table.caption_justify = Text("\n".join(told)), "left"
    return table


def ledger_tables(summary: Summary) -> list[Table]:
    """What became of the rows: by split, why some were not kept, and what was changed in others."""
    from rich.text import Text

    left_out = summary.rows_in - summary.kept
    counts = {"all": _count(summary.rows_in), "kept": _count(summary.kept), "rest": _count(left_out)}
    title = tell("{all} rows in, {kept} kept, {rest} left out", **counts)
    rows_heading = f">{tell('rows')}"
    splits = _table(title, tell("split"), rows_heading, f">{tell('tokens')}", f">{tell('learned tokens')}")
    for split in sorted(summary.rows, key=SPLITS.index):
        rows = summary.rows[split]
        tokens, learned = summary.tokens.get(split, 0), summary.supervised.get(split, 0)
        splits.add_row(Text(tell(split)), *map(_count, (rows, tokens, learned)))
    longest = {"tokens": _count(summary.longest), "rows": _over(summary)}
    splits.caption = tell("longest row: {tokens} tokens; longer than the limit: {rows}", **longest)
    splits.caption_justify, splits.min_width = "left", min(len(splits.caption), 100)  # rich folds it to the width
    tables = [splits]
    if summary.reasons:
        reasons = _table(tell("not kept"), tell("fate"), tell("reason"), rows_heading)
        for fate, reason, count in summary.reasons:
            reasons.add_row(Text(tell(fate)), Text(retell(reason)), _count(count))
        if sum(count for _, _, count in summary.reasons) > left_out:
            reasons.caption, reasons.caption_justify = tell("examples of one row count one by one"), "left"
        tables.append(reasons)
    if summary.changes:
        changes = _table(tell("kept, but changed or flagged"), tell("change"), rows_heading)
        for change, count in summary.changes:
            changes.add_row(Text(retell(change)), _count(count))
        tables.append(changes)
    return tables


def mix_table(mix: Sequence[Mapping[str, Any]]) -> Table:
    """How often the rows of each label or source are seen; `mix` as it stands in run.json."""
    from rich.text import Text

    headings = [tell("rows"), tell("an epoch"), tell("the whole run")]
    table = _table(tell("how often rows are seen"), tell("rows of"), *(f">{heading}" for heading in headings))
    for group in mix[:_MOST_SHARES]:
        often = (tell("{count:.2f} times", count=group[over]) for over in ("repeats", "epochs"))
        table.add_row(Text(group["name"]), _count(group["rows"]), *often)
    if len(mix) > _MOST_SHARES:
        table.caption = tell("and {count} more in run.json", count=_count(len(mix) - _MOST_SHARES))
        table.caption_justify = "left"
    return table


def _over(summary: Summary) -> str:
    if not summary.over_length:
        return tell("none")
    return tell("{rows} rows ({share})", rows=_count(summary.over_length), share=share(summary.over_length_share))


def _table(title: str | None, *columns: str) -> Table:
    """A table in the style of all commands; columns that begin with `>` are aligned to the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        if column.startswith(">"):
            _right(table, column[1:])
        else:
            table.add_column(column, overflow="fold")
    return table


def _right(table: Table, heading: str) -> None:
    table.add_column(heading, justify="right", overflow="fold")


def _score(score: Mapping[str, float] | None) -> Text:
    from rich.text import Text

    return Text.assemble(number(score["value"]), "\n", (span(score), "dim")) if score else Text("")


def _difference(difference: Mapping[str, float] | None, higher_is_better: bool | None) -> Text:
    from rich.text import Text

    if difference is None:
        return Text("")
    colour = _COLOURS[outcome(difference, higher_is_better)]
    detail = tell(", ").join([span(difference, sign=True), p_value(difference["p"])])
    return Text.assemble((signed(difference["value"]), colour), "\n", (detail, "dim"))


def _count(value: int) -> str:
    return f"{value:,}"
