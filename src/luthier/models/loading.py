"""Loads a base model: tokenizer, network, and what is known of its parts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from luthier.config import ModelConfig
from luthier.errors import ModelError
from luthier.models.architectures import Architecture, describe
from luthier.models.base import BaseModel, Head, ModelFiles
from luthier.models.compute import choose_device, choose_dtype
from luthier.models.quantisation import quantising, settle
from luthier.models.quiet import quiet
from luthier.models.rope import scaled_parameters

log = logging.getLogger(__name__)

LOADERS: dict[Head, str] = {
    "causal_lm": "AutoModelForCausalLM",
    "seq2seq_lm": "AutoModelForSeq2SeqLM",
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
}
"""The class of `transformers` that loads each kind of network."""

COMPUTES = "the method computes in it"
"""Why a number type is not the configured one."""

NEW_HEADS = ("sequence_classification", "token_classification")
"""Kinds whose head is new, with an output for each label."""


def loader_of(head: Head) -> Any:
    """The class of `transformers` that loads a kind of network."""
    import transformers

    return getattr(transformers, LOADERS[head])


def load_tokenizer(files: ModelFiles, *, trust_remote_code: bool = False) -> Any:
    """The model's tokenizer, with a pad token: its own, else its end token.

    Raises:
        ModelError: there is no tokenizer, or it has neither token.
    """
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(files.folder), local_files_only=True, trust_remote_code=trust_remote_code
            )
    except Exception as error:  # the library raises whatever a file makes it stumble over
        raise _cannot_load("tokenizer", files, error) from error
    for private in ("local_files_only", "is_local"):  # how it was loaded is no part of it, when it is saved again
        tokenizer.init_kwargs.pop(private, None)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"the tokenizer of '{files.source}' has neither a pad nor an end token",
                where=str(files.folder),
                hint='add "pad_token" to its tokenizer_config.json',
            )
        tokenizer.pad_token = tokenizer.eos_token
        log.info("no pad token: padding with the end token %s", tokenizer.eos_token)
    return tokenizer


def load_base(
    config: ModelConfig,
    files: ModelFiles,
    *,
    head: Head,
    labels: Sequence[str] = (),
    problem: str | None = None,
    compute: str | None = None,
) -> BaseModel:
    """The base model, frozen and in eval mode.

    A new classification head takes its first weights from torch's random state; nothing else depends on it.

    Args:
        config: device, number type and what is trusted.
        files: where it is, from `resolve`.
        head: which kind of network.
        labels: names of a new head's outputs, in order.
        problem: the `problem_type` by which pipelines of `transformers` read these outputs; None = by their number.
        compute: the number type that the method computes in, whatever is configured; None = as configured.

    Raises:
        ModelError: it cannot be loaded, or its weights do not fit the kind of network.
    """
    device = choose_device(config.device)
    dtype, reason = choose_dtype(compute or config.dtype, device)
    tokenizer = load_tokenizer(files, trust_remote_code=config.trust_remote_code)
    network, report = _load_network(config, files, head, labels, dtype, device)
    new = {key.rpartition(".")[0] for key in [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]}
    architecture = describe(network, network.config, sorted(new))
    _check_new(new, architecture, head, files)
    rows = network.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer of '{files.source}' knows {len(tokenizer)} tokens, the network {rows}",
            where=str(files.folder),
        )
    network.config.pad_token_id = tokenizer.pad_token_id
    network.config.problem_type = problem
    network.requires_grad_(False).eval().to(device)
    why = COMPUTES if compute else reason
    return BaseModel(network, tokenizer, files, architecture, dtype, why, device, config.quantise)


def _load_network(
    config: ModelConfig, files: ModelFiles, head: Head, labels: Sequence[str], dtype: Any, device: Any
) -> tuple[Any, dict[str, Any]]:
    options: dict[str, Any] = {"dtype": dtype}
    if head in NEW_HEADS:
        options |= {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: index for index, label in enumerate(labels)},
            "ignore_mismatched_sizes": True,  # another classifier's head is replaced
        }
    try:
        with quiet():
            options |= scaled_parameters(config, files)
            if config.quantise != "none":
                options |= quantising(config.quantise, _without_weights(config, files, head), device, dtype)
            network, report = loader_of(head).from_pretrained(
                str(files.folder),
                local_files_only=True,
                trust_remote_code=config.trust_remote_code,
                use_safetensors=None if config.allow_pickle else True,
                output_loading_info=True,
                **options,
            )
            if config.quantise != "none":
                settle(network, dtype)
    except ModelError:
        raise
    except Exception as error:  # the library raises whatever a file makes it stumble over
        raise _cannot_load("network", files, error) from error
    return network, report


def _without_weights(config: ModelConfig, files: ModelFiles, head: Head) -> Any:
    """The network on torch's meta device, to be looked at before the real one is loaded."""
    import torch
    from transformers import AutoConfig

    trust = config.trust_remote_code
    with torch.device("meta"):
        found = AutoConfig.from_pretrained(str(files.folder), local_files_only=True, trust_remote_code=trust)
        return loader_of(head).from_config(found, trust_remote_code=trust)


def _check_new(new: Iterable[str], architecture: Architecture, head: Head, files: ModelFiles) -> None:
    """Weights that the files lack were drawn at random: right for a classification head, wrong for anything else."""
    body = (*architecture.layers, *architecture.embeddings)
    lacking = [name for name in sorted(new) if head not in NEW_HEADS or any(name.startswith(part) for part in body)]
    if lacking:
        hint = "is it an encoder? then task: sequence_classification" if head == "causal_lm" else "download it again"
        raise ModelError(f"'{files.source}' has no weights for '{lacking[0]}'", where=str(files.folder), hint=hint)


def _cannot_load(part: str, files: ModelFiles, error: Exception) -> ModelError:
    text = str(error)
    if "trust_remote_code" in text:
        hint = "the model brings Python code of its own: set model.trust_remote_code: true if you trust it"
    elif "does not recognize this architecture" in text or "model_type" in text:
        hint = "this version of transformers does not know the architecture; a newer one may"
    elif "Unrecognized configuration class" in text:
        hint = "its architecture does not fit the task: an encoder-decoder such as T5 takes task: seq2seq"
    elif part == "tokenizer":
        hint = "the folder needs the tokenizer's files, such as tokenizer.json and tokenizer_config.json"
    else:
        hint = "is the folder complete? download or copy it again"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    return ModelError(f"the {part} of '{files.source}' cannot be loaded: {reason}", where=str(files.folder), hint=hint)
