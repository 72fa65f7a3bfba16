"""What decides rounding, pinned in one place before any numeric library is loaded.

The same sum rounded by another kernel differs in its last bit, and training carries that bit to every digit. Libraries
choose kernels by the processor's maker, its vector width and the number of threads; all of them read environment
variables when they are loaded. So `pin` must run first: `stages/__init__.py`, the command line, the service and the
tests call it before they import anything else, and every process that they start inherits it.

No variable holds MKL's products of matrices to one kernel on processors of both makers and is fast: linear layers go
through oneDNN in both modes (`core.linear`), and MKL is left with the small batched products of attention.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

import yaml

Mode = Literal["portable", "native"]
MODES: tuple[Mode, ...] = get_args(Mode)
MODE = "EMOFUSE_NUMERICS"  # tells child processes what holds

# A core is used by a process, not by a thread: the order of a sum must not depend on their number, and threads that
# spin while they wait for each other starve the process beside them.
COMMON = {
    "OMP_NUM_THREADS": "1",  # torch's, oneDNN's and Arrow's
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
PINS: Mapping[Mode, Mapping[str, str]] = {
    # AVX2 and FMA, whatever else the processor has, and one code path for every maker.
    "portable": {
        "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "COMPATIBLE",  # the one branch that MKL takes on every maker's processor
        "OPENBLAS_CORETYPE": "Haswell",  # numpy's and scipy's products and decompositions
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",  # numpy dispatches nothing
        "OPENCV_IPP": "avx2",
        "ARROW_USER_SIMD_LEVEL": "AVX2",
    },
    # The same bytes on this machine: MKL otherwise chooses by how arrays lie in memory.
    "native": {"MKL_CBWR": "AUTO,STRICT"},
}
UNCOUNTED = {"DO_NOT_TRACK": "true", "BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"}
LIBRARIES = ("numpy", "torch", "cv2", "pyarrow")  # that read the variables when they are loaded


def pin(mode: Mode | None = None) -> Mode:
    """Pin this process, and those that it starts, to a mode.

    Args:
        mode: `portable` or `native`; None for that of params.yaml in the working folder, or of the parent process.

    Returns:
        The mode.

    Raises:
        RuntimeError: a numeric library is loaded already and the process was pinned otherwise or not at all.
    """
    for name, value in UNCOUNTED.items():  # MLflow, BentoML and Ray count their users unless they are told not to
        os.environ.setdefault(name, value)
    mode = mode or _named()
    wanted = variables(mode)
    changed = {name: value for name, value in wanted.items() if os.environ.get(name) != value}
    # What a parent process that was pinned to the other mode has set would hold here too.
    stale = [
        name
        for other in MODES
        if other == os.environ.get(MODE)
        for name, value in variables(other).items()
        if name not in wanted and os.environ.get(name) == value
    ]
    late = [library for library in LIBRARIES if library in sys.modules]
    if (changed or stale) and late:
        raise RuntimeError(
            f"found {', '.join(late)} loaded before numerics were pinned to {mode!r}, which comes too late for them; "
            "call emofuse.core.numerics.pin before importing them"
        )
    os.environ.update(changed)
    for name in stale:
        del os.environ[name]
    return mode


def variables(mode: Mode) -> dict[str, str]:
    """What a process must find in its environment to be pinned to a mode."""
    wanted = {**COMMON, **PINS[mode], MODE: mode}
    if mode == "portable" and "avx512f" in processor().split():
        wanted["OPENCV_CPU_DISABLE"] = "AVX512-SKX"  # where there is none, OpenCV complains of being told so
    return wanted


def current() -> Mode:
    """The mode that this process is pinned to; `native` where nothing was pinned, which promises least."""
    mode = os.environ.get(MODE)
    return "portable" if mode == "portable" else "native"


def numerics_identity() -> str:
    """What tells features that were made under one mode from those of another; `native` ones also by the machine."""
    return "portable" if current() == "portable" else f"native {processor()} {os.environ.get('ATEN_CPU_CAPABILITY')}"


@cache
def processor() -> str:
    """The processor's name and its vector extensions, as Linux tells them; elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    vectors = [flag for flag in fields.get("flags", "").split() if flag.startswith(("avx", "amx", "fma"))]
    return " ".join([platform.machine(), fields.get("model name", ""), *sorted(vectors)])


def promise(mode: Mode) -> str | None:
    """Why this machine can't give the bytes that a mode promises; None where it can."""
    if mode == "native":
        return None
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        return f"portable promises the same bytes on Linux on x86-64; this is {system} on {machine}"
    missing = " and ".join(sorted({"avx2", "fma"} - set(processor().split())))
    return f"portable needs a processor with AVX2 and FMA; this one lacks {missing}" if missing else None


def versions() -> dict[str, str]:
    """The releases of the libraries that round; other releases may round otherwise."""
    names = ("torch", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "av", "transformers")
    return {name: version(name) for name in names}


def _named() -> Mode:
    """The mode of params.yaml, else of the parent process. A mistake in it is told by whoever reads all of it."""
    try:
        mode = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["numerics"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        mode = os.environ.get(MODE)
    return "native" if mode == "native" else "portable"
