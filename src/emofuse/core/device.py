"""Where computation happens, and how far it is made repeatable."""

from __future__ import annotations

import os
import sys
from functools import cache

from emofuse.core.numerics import current


@cache
def pick_device() -> str:
    """`cuda` where there is one and numerics are native, else `cpu`; an empty CUDA_VISIBLE_DEVICES hides the first.

    What is computed there keeps the precision of its type from then on.
    """
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    if current() == "portable":
        print(
            "note: the GPU is not used, since `numerics` is portable, which promises bytes that a GPU can't give; "
            "set numerics to native in params.yaml to use it",
            file=sys.stderr,
        )
        return "cpu"
    # cuDNN's convolutions keep ten bits of each number (TF32) unless they are told.
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    return "cuda"


def make_deterministic(seed: int) -> None:
    """Seed torch and allow only algorithms that give the same bits each time."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined] # a tenth of a step
    torch.manual_seed(seed)


def available_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> None:
    """Let torch, where it is loaded, use all cores, for steps that round the same however they are shared out."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(available_cores())
