"""Asking a causal language model: label scores and greedy answers, batched, prompts that begin alike read once.

Shapes: b = rows of a batch, s = tokens of its longest prompt without the shared beginning, k = continuations of a row,
t = tokens, v = vocabulary.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luthier.models.hardware import give_back_memory
from luthier.models.soft_prompts import behind_soft_prompt

if TYPE_CHECKING:
    import torch
    from torch import nn

TOKENS_AT_ONCE = 2048
"""Prompt tokens in one batch: enough to fill the processor, little enough for any memory."""

CACHED_TOKENS = 8_192
"""Tokens, continuations included, that a batch's cache remembers at once: 0.4 GB for SmolLM2 in float32."""

LOGITS_AT_ONCE = 32_000_000
"""Numbers of a batch's logits: 128 MB in float32, 42 targets of three tokens for mT0 with its 250 000 words."""

Progress = Callable[[int], None]


def accepts(network: nn.Module, argument: str) -> bool:
    """Whether the (wrapped) model's forward takes this keyword argument."""
    wrapped: Any = network
    inner = wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped
    return argument in inspect.signature(inner.forward).parameters


def rows_at_once(tokens: int, logits: int) -> int:
    """Rows whose cache and logits fit into memory together, at least one.

    Args:
        tokens: what the cache remembers of a row in the end.
        logits: numbers of a row's logits that are held at once.
    """
    return max(1, min(CACHED_TOKENS // tokens, LOGITS_AT_ONCE // logits))


def padding_reach(network: nn.Module) -> float:
    """Tokens of a row, padding included, up to which padding may stand between them.

    Up to there a model knows where a token stands by its position alone. Sliding windows, convolutions and recurrences
    count places instead, padding included, and so does a model that takes no positions.

    Args:
        network: a causal model of transformers, perhaps wrapped by `peft`.

    Returns:
        The smallest window; infinite without one, 0 where every place counts.
    """
    from transformers.cache_utils import DynamicCache, LinearAttentionCacheLayerMixin

    config: Any = network.config
    layers = DynamicCache(config=config).layers
    if not accepts(network, "position_ids") or any(isinstance(one, LinearAttentionCacheLayerMixin) for one in layers):
        return 0
    windows = [layer.sliding_window for layer in layers if getattr(layer, "is_sliding", False)]
    local = getattr(config, "window_size", None)  # GPT-Neo's, whose cache keeps everything
    return min([*windows, *([local] if local else [])], default=math.inf)


def common_prefix(rows: Sequence[Sequence[int]]) -> int:
    """Length of the longest beginning that all rows share, leaving at least one token to each."""
    if len(rows) < 2:
        return 0
    low, high = list(min(rows, key=list)), list(max(rows, key=list))
    limit = min(len(row) for row in rows) - 1
    return next((i for i in range(limit) if low[i] != high[i]), limit)


def batches_by_length(
    lengths: Sequence[int], tokens: int = TOKENS_AT_ONCE, rows: int | None = None, padded: float = math.inf
) -> list[list[int]]:
    """Indices of rows in batches of similar length, the longest first.

    Args:
        lengths: tokens of each row.
        tokens: most tokens of a batch, padding included; a single row may have more.
        rows: most rows of a batch.
        padded: rows longer than this are batched only with rows of their own length.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        count = len(batches[-1]) + 1 if batches else 0
        longest = lengths[batches[-1][0]] if batches else 0
        fits = longest * count <= tokens and (rows is None or count <= rows)
        if batches and fits and (longest <= padded or longest == lengths[index]):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


@dataclass
class _Read:
    """Prompts that a model has read: what it expects next, and its memory of them."""

    logits_bv: torch.Tensor
    cache: Any
    mask_bt: torch.Tensor
    lengths_b: torch.Tensor

    def rows(self, rows_n: torch.Tensor) -> _Read:
        """A copy of some rows; a row may be asked for several times."""
        cache = copy.deepcopy(self.cache)
        cache.reorder_cache(rows_n)
        return _Read(self.logits_bv[rows_n], cache, self.mask_bt[rows_n], self.lengths_b[rows_n])


class PromptReader:
    """Reads prompts in batches of similar length; the beginning that all of them share is computed once.

        [soft prompt | shared beginning | padding | rest]

    A soft prompt is computed once, too. Rests are padded as far as `padding_reach` lets them; only those of one length
    are read together beyond.

    Args:
        network: a causal model of transformers, perhaps wrapped by `peft`.
        prompts: token ids of each prompt.
        pad_id: any token id; padded places are masked.
        new_tokens: tokens that will be fed behind each prompt.
        at_once: so many of them in one call.
        copies: continuations of each prompt.

    Attributes:
        most_rows: rows, each with what is fed behind it, that fit into memory at once.
    """

    def __init__(
        self,
        network: nn.Module,
        prompts: Sequence[Sequence[int]],
        pad_id: int,
        new_tokens: int,
        *,
        at_once: int,
        copies: int = 1,
    ) -> None:
        self.network, self.prefix_cache, self.begun = behind_soft_prompt(network)
        self.prompts = prompts
        self.pad_id = pad_id
        self.copies = copies
        longest = self.begun + max(len(prompt) for prompt in prompts)
        config: Any = network.config
        vocabulary = config.get_text_config().vocab_size
        self.most_rows = rows_at_once(longest + new_tokens, max(at_once, 1) * vocabulary)
        self.device = next(network.parameters()).device
        self.positions = accepts(network, "position_ids")
        self.last_only = {"logits_to_keep": 1} if accepts(network, "logits_to_keep") else {}
        self.shared = common_prefix(prompts)
        self.padded = padding_reach(self.network) - self.begun - self.shared - new_tokens

    def batches(self) -> Iterator[tuple[list[int], _Read]]:
        """(indices of the prompts, what the model has read), the longest prompts first."""
        import torch

        if self.shared:
            prefix_bt = torch.tensor([list(self.prompts[0][: self.shared])], device=self.device)
            mask_bt = prefix_bt.new_ones(1, self.begun + self.shared)
            positions_bt = torch.arange(self.begun, mask_bt.shape[1], device=self.device)[None]
            output = self.forward(prefix_bt, mask_bt, positions_bt, self.prefix_cache, last_only=True)
            self.prefix_cache = output.past_key_values
        rests = [len(prompt) - self.shared for prompt in self.prompts]
        rows = max(1, self.most_rows // self.copies)
        for indices in batches_by_length(rests, rows=rows, padded=self.padded):
            yield indices, self._read([self.prompts[index][self.shared :] for index in indices])
            give_back_memory()

    def _read(self, rests: Sequence[Sequence[int]]) -> _Read:
        """Reads the rests of some prompts behind the shared beginning."""
        import torch

        before = self.begun + self.shared
        longest = max(len(rest) for rest in rests)
        ids_bs = torch.tensor(
            [[self.pad_id] * (longest - len(rest)) + list(rest) for rest in rests], device=self.device
        )
        lengths_b = torch.tensor([len(rest) for rest in rests], device=self.device)
        real_bs = torch.arange(longest, device=self.device) >= longest - lengths_b[:, None]
        mask_bt = torch.cat([real_bs.new_ones(len(rests), before), real_bs], 1).long()
        cache = copy.deepcopy(self.prefix_cache)
        if cache is not None:
            cache.reorder_cache(torch.zeros_like(lengths_b))
        positions_bs = (before + real_bs.long().cumsum(1) - 1).clamp(min=0)
        output = self.forward(ids_bs, mask_bt, positions_bs, cache, last_only=True)
        return _Read(output.logits[:, -1].float(), output.past_key_values, mask_bt, before + lengths_b)

    def forward(
        self, ids_bt: torch.Tensor, mask_bt: torch.Tensor, positions_bt: torch.Tensor, cache: Any, *, last_only: bool
    ) -> Any:
        """One call of the model behind a cache."""
        arguments: dict[str, Any] = {"position_ids": positions_bt} if self.positions else {}
        arguments |= self.last_only if last_only else {}
        return self.network(ids_bt, attention_mask=mask_bt, past_key_values=cache, use_cache=True, **arguments)

    def go_on(self, read: _Read, ids_bt: torch.Tensor) -> torch.Tensor:
        """Feeds the next tokens of every row and remembers them; returns logits [b, t, v] in float32."""
        import torch

        count = ids_bt.shape[1]
        read.mask_bt = torch.cat([read.mask_bt, read.mask_bt.new_ones(ids_bt.shape)], 1)
        positions_bt = read.lengths_b[:, None] + torch.arange(count, device=ids_bt.device)
        output = self.forward(ids_bt, read.mask_bt, positions_bt, read.cache, last_only=False)
        read.cache = output.past_key_values
        read.lengths_b = read.lengths_b + count
        logits_btv: torch.Tensor = output.logits.float()
        return logits_btv


def score_continuations(
    network: nn.Module,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    pad_id: int,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Summed log-probability, in nats, of every continuation behind every prompt: float32 [prompts, continuations]."""
    import torch

    scores_nk = torch.zeros(len(prompts), len(continuations))
    longest = max(len(continuation) for continuation in continuations)
    padded_kt = torch.tensor([[*c, *[pad_id] * (longest - len(c))] for c in continuations])
    real_kt = torch.tensor([[True] * len(c) + [False] * (longest - len(c)) for c in continuations])
    with torch.inference_mode():
        reader = PromptReader(network, prompts, pad_id, longest - 1, at_once=longest - 1, copies=len(continuations))
        padded_kt, real_kt = padded_kt.to(reader.device), real_kt.to(reader.device)
        for indices, read in reader.batches():
            scores_bk = read.logits_bv.log_softmax(-1)[:, padded_kt[:, 0]]
            if longest > 1:
                scores_bk += _later_scores(reader, read, padded_kt, real_kt)
            scores_nk[indices] = scores_bk.cpu()
            if progress:
                progress(len(indices))
    return scores_nk


def _later_scores(reader: PromptReader, read: _Read, ids_kt: torch.Tensor, real_kt: torch.Tensor) -> torch.Tensor:
    """Summed log-probability of all tokens but the first of every continuation behind every prompt: [b, k]."""
    import torch

    b, k = len(read.lengths_b), len(ids_kt)
    scores = []
    for places_n in torch.split(torch.arange(b * k, device=ids_kt.device), reader.most_rows):
        rows_n, ids_nt = places_n // k, ids_kt[places_n % k]
        logprobs_ntv = reader.go_on(read.rows(rows_n), ids_nt[:, :-1]).log_softmax(-1)
        picked_nt = logprobs_ntv.gather(-1, ids_nt[:, 1:, None])[..., 0]
        scores.append((picked_nt * real_kt[places_n % k, 1:]).sum(1))
    return torch.cat(scores).view(b, k)


def greedy_answers(
    network: nn.Module,
    prompts: Sequence[Sequence[int]],
    stop_ids: frozenset[int],
    max_new_tokens: int,
    pad_id: int,
    progress: Progress | None = None,
) -> list[list[int]]:
    """The most likely tokens behind every prompt, up to a stop token (left out) or `max_new_tokens`."""
    import torch

    answers: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode():
        reader = PromptReader(network, prompts, pad_id, max_new_tokens - 1, at_once=1)
        for indices, read in reader.batches():
            rows, done = indices, set[int]()
            next_b = read.logits_bv.argmax(-1)
            for position in range(max_new_tokens):
                for index, token in zip(rows, next_b.tolist(), strict=True):
                    if token in stop_ids:
                        done.add(index)
                    elif index not in done:
                        answers[index].append(token)
                still = [place for place, index in enumerate(rows) if index not in done]
                if not still or position == max_new_tokens - 1:
                    break
                if 2 * len(still) <= len(rows):
                    still_n = torch.tensor(still, device=reader.device)
                    rows, read, next_b = [rows[place] for place in still], read.rows(still_n), next_b[still_n]
                next_b = reader.go_on(read, next_b[:, None])[:, -1].argmax(-1)
            if progress:
                progress(len(indices))
    return answers
