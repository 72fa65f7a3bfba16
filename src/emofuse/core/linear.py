"""Linear layers through oneDNN: as fast as MKL's, and the same bytes whatever the maker, the threads and the batch.

Measured (docs/reproducibility.md): forward and both gradients are the same on processors of both makers with one, two
and four threads, and a row is the same in every batch of two rows or more. MKL is so only under its slowest setting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Module = TypeVar("Module", bound=nn.Module)
ONEDNN = torch.backends.mkldnn.is_available()


class Linear(nn.Linear):
    """As torch.nn.Linear, through oneDNN where values are float32 on a processor."""

    def forward(self, values: Tensor) -> Tensor:
        """From shape (..., in) to shape (..., out)."""
        return linear(values, self.weight, self.bias)


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product of values of shape (..., in) and a weight of shape (out, in), plus the bias; shape (..., out)."""
    plain = ONEDNN and values.dtype == torch.float32 == weight.dtype and values.device.type == "cpu"
    if not plain or not values.numel() or torch.is_autocast_enabled("cpu"):
        return functional.linear(values, weight, bias)
    rows = values.reshape(-1, values.shape[-1]).contiguous()
    count = len(rows)
    if count == 1:  # oneDNN has another kernel for one row
        rows = rows.repeat(2, 1)
    result = _trained(rows, weight, bias) if torch.is_grad_enabled() else _product(rows, weight, bias)
    return result[:count].reshape(*values.shape[:-1], len(weight))


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What torch.compile puts in place of a linear layer: it takes tensors as they lie, and has no gradient."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return result


class _Product(torch.autograd.Function):
    """The same with the gradients of torch.utils.mkldnn's own linear layer."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """From rows of shape (n, in), a weight of shape (out, in) and a bias of shape (out,) to shape (n, out)."""
        ctx.save_for_backward(rows, weight)
        ctx.biased = bias is not None
        return _product(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """From the gradient of what `forward` gave, shape (n, out), to those of what it took; None where not asked."""
        rows, weight = ctx.saved_tensors
        wanted = [ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:]), ctx.biased]
        of_rows, of_weight, of_bias = torch.ops.aten.mkldnn_linear_backward(
            rows.to_mkldnn(), gradient.contiguous().to_mkldnn(), weight, wanted
        )
        return of_rows.to_dense() if wanted[0] else None, of_weight, of_bias


_trained: Callable[[Tensor, Tensor, Tensor | None], Tensor] = _Product.apply


def through_onednn(module: Module) -> Module:
    """Let the linear layers of a module, which another library made, go through oneDNN; returns it."""
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = Linear  # the same weights and hooks; only `forward` is another
    return module
