"""The output layer on supervised positions only, in chunks, so that full logits are never held.

The loss and its gradient with respect to the hidden state are computed in one pass: the layer is frozen, so nothing
else is needed of the logits. The idea is that of Liger's fused linear cross-entropy (https://arxiv.org/abs/2410.10989).

Shapes: n = supervised positions, d = hidden width, v = vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

CHUNK_NUMBERS = 32_000_000
"""Logits computed at once: 128 MB in float32, whatever the vocabulary. With a quarter of it the layer's weights are
read so often that SmolLM2's products ran at 110 instead of 134 to 155 GFLOP/s."""


class OutputLayer:
    """A language model's output layer with what the model does to its logits.

    Args:
        network: the causal model of `transformers`, not wrapped.
    """

    def __init__(self, network: Any) -> None:
        config = network.config.get_text_config()
        self.layer: nn.Module = network.get_output_embeddings()
        self.softcap: float | None = getattr(config, "final_logit_softcapping", None)
        # Cohere multiplies its logits, Granite divides them.
        self.factor = float(getattr(config, "logit_scale", None) or 1.0) / float(
            getattr(config, "logits_scaling", None) or 1.0
        )

    def loss(self, hidden_nd: torch.Tensor, targets_n: torch.Tensor) -> torch.Tensor:
        """Summed cross-entropy in float32."""
        layer: Any = self.layer
        if type(layer) is nn.Linear and not any(weight.requires_grad for weight in layer.parameters()):
            summed: torch.Tensor = _FrozenLoss.apply(  # type: ignore[no-untyped-call]
                hidden_nd, targets_n, layer.weight, layer.bias, self.softcap, self.factor
            )
            return summed
        # it is trained, or adapted: its own gradient is needed, and each chunk is computed again for it
        rows = max(1, CHUNK_NUMBERS // layer.weight.shape[0])
        parts = zip(torch.split(hidden_nd, rows), torch.split(targets_n, rows), strict=True)
        losses = [checkpoint(self._plain_loss, *part, use_reentrant=False) for part in parts]
        return torch.stack(losses).sum()

    def _plain_loss(self, hidden_nd: torch.Tensor, targets_n: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.logits(hidden_nd), targets_n, reduction="sum")

    def logits(self, hidden_nd: torch.Tensor) -> torch.Tensor:
        """All logits [n, v] at once, in float32."""
        logits_nv: torch.Tensor = self.layer(hidden_nd).float()
        if self.factor != 1.0:
            logits_nv = logits_nv * self.factor
        if self.softcap:
            logits_nv = torch.tanh(logits_nv / self.softcap) * self.softcap
        return logits_nv


class _FrozenLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_nd: torch.Tensor,
        targets_n: torch.Tensor,
        weight_vd: torch.Tensor,
        bias_v: torch.Tensor | None,
        softcap: float | None,
        factor: float,
    ) -> torch.Tensor:
        grad_nd = torch.empty_like(hidden_nd)
        total = hidden_nd.new_zeros((), dtype=torch.float32)
        rows = max(1, CHUNK_NUMBERS // weight_vd.shape[0])
        for part in (slice(start, start + rows) for start in range(0, len(hidden_nd), rows)):
            logits_nv = linear(hidden_nd[part], weight_vd, bias_v).float()
            if factor != 1.0:
                logits_nv *= factor
            if softcap:
                logits_nv = logits_nv.div_(softcap).tanh_()
                slope_nv = 1 - logits_nv.square()
                logits_nv *= softcap
            torch.log_softmax(logits_nv, -1, out=logits_nv)  # in place: a sixth of the layer's time less
            picked_n1 = targets_n[part].unsqueeze(1)
            total -= logits_nv.gather(1, picked_n1).sum()
            wrong_nv = logits_nv.exp_()  # the gradient of the logits: probabilities, less the target
            wrong_nv.scatter_add_(1, picked_n1, wrong_nv.new_full(picked_n1.shape, -1.0))
            if softcap:
                wrong_nv *= slope_nv
            if factor != 1.0:
                wrong_nv *= factor
            grad_nd[part] = wrong_nv.to(weight_vd.dtype) @ weight_vd
        ctx.save_for_backward(grad_nd)
        return total

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad_nd,) = ctx.saved_tensors
        return grad_nd * grad.to(grad_nd.dtype), None, None, None, None, None
