"""Run the stages one after another in one process: an emulated processor takes half a minute to import torch.

Call it as `python -m tests.pipeline.in_one_process EXECUTABLE STAGE...`; workers are started by the executable.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from importlib import import_module


def main(executable: str, stages: list[str]) -> None:
    multiprocessing.set_executable(executable)
    for stage in stages:
        start = time.perf_counter()
        import_module(f"stages.{stage}").main()
        print(f"{stage}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
