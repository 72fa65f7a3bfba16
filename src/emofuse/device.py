"""The one place that decides where tensors live and how far computation is made repeatable."""

from __future__ import annotations

import os

import torch


def pick_device() -> str:
    """`cuda` where there is one, else `cpu`; an empty CUDA_VISIBLE_DEVICES hides the first."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_deterministic(seed: int) -> None:
    """Seed torch and allow only algorithms that give the same bits each time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
