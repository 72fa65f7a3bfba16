"""Linear layers through oneDNN: as fast as MKL's, and the same bytes whatever the maker, the threads and the batch.

Measured (docs/reproducibility.md): forward and both gradients are the same on processors of both makers with one, two
and four threads, and a row is the same in every batch of two rows or more. MKL is so only under its slowest setting.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Module = TypeVar("Module", bound=nn.Module)


class Linear(nn.Linear):
    """As torch.nn.Linear, through oneDNN where values are float32 on a processor."""

    def forward(self, values: Tensor) -> Tensor:
        """From shape (..., in) to shape (..., out)."""
        return linear(values, self.weight, self.bias)


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product of values of shape (..., in) and a weight of shape (out, in), plus the bias; shape (..., out)."""
    plain = values.dtype == torch.float32 == weight.dtype and values.device.type == "cpu"
    if not plain or not values.numel() or torch.is_autocast_enabled("cpu"):
        return functional.linear(values, weight, bias)
    rows = values.reshape(-1, values.shape[-1])
    count = len(rows)
    if count == 1:  # oneDNN has another kernel for one row
        rows = rows.expand(2, -1)
    # The operator behind torch.utils.mkldnn.MkldnnLinear, which itself can't be trained.
    result = torch._C._nn.mkldnn_linear(rows.contiguous().to_mkldnn(), weight, bias).to_dense()
    return result[:count].reshape(*values.shape[:-1], len(weight))


def through_onednn(module: Module) -> Module:
    """Let the linear layers of a module, which another library made, go through oneDNN; returns it."""
    for part in module.modules():
        if type(part) is nn.Linear:
            part.__class__ = Linear  # the same weights and hooks; only `forward` is another
    return module
