"""What pinned rounding costs: encoding and training in both modes, against torch as it comes.

As it comes: nothing pinned, linear layers through MKL, and as many threads as there are cores. Each runs in processes
of its own, in turn, since libraries read what is pinned when they are loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.timing import Figure
from emofuse.core.numerics import MODES, pin, variables

ROUNDS = 3
AS_IT_COMES = "as it comes"
WANTED = {
    ("encoding", "portable"): "at most 2",
    ("training", "portable"): "at most 1",
    ("encoding", "native"): "at most 1",
}
ROWS, WIDTHS, CLASSES = 2000, {"text": 5376, "audio": 400, "visual": 300}, 7


def measure(texts: Path) -> list[Figure]:
    """The figures of both modes; `texts` is a JSON file with a list of them."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in (AS_IT_COMES, *MODES)}
    for _ in range(ROUNDS):
        for name in taken:
            taken[name].append(_run(name, texts))
    figures = []
    for work in ("encoding", "training"):
        plain, *pinned = (sum(round_[work] for round_ in taken[name]) for name in taken)
        for mode, seconds in zip(MODES, pinned, strict=True):
            name, detail = f"{work}, {mode}: time against torch as it comes", f"{seconds:.1f} s against {plain:.1f} s"
            figures.append(Figure(name, seconds / plain, WANTED.get((work, mode), ""), detail))
    return figures


def _run(name: str, texts: Path) -> dict[str, float]:
    pinned = {variable for mode in MODES for variable in variables(mode)}
    env = {key: value for key, value in os.environ.items() if key not in pinned}
    command = [sys.executable, "-m", "benchmarks.numerics", name, str(texts)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(name: str, texts: list[str]) -> None:
    """Encode the texts and train an early fusion under one setting; print the seconds."""
    if name != AS_IT_COMES:
        pin("native" if name == "native" else "portable")
    from torch import nn

    from emofuse.core.device import use_all_cores
    from emofuse.core.linear import Linear
    from emofuse.core.params import load_params
    from emofuse.core.records import Utterance
    from emofuse.features.text.extractor import TextExtractor
    from emofuse.training.loop import train_all

    params = load_params()
    if name == AS_IT_COMES:
        Linear.forward = nn.Linear.forward  # type: ignore[assignment, method-assign]
    extractor = TextExtractor(params.text)
    rows = [Utterance(text=text) for text in texts]
    extractor.warm_up()
    use_all_cores()
    began = time.perf_counter()
    list(extractor.stream(rows))
    encoded = time.perf_counter()
    jobs = list(drawn_jobs("early", WIDTHS, params.train, params.seed))
    made = time.perf_counter()
    list(map(_train_as_it_comes, jobs) if name == AS_IT_COMES else train_all(jobs))
    print(json.dumps({"encoding": encoded - began, "training": time.perf_counter() - made}))


def _train_as_it_comes(job: Any) -> None:
    """A member with the threads that the process has."""
    from unittest.mock import patch

    from emofuse.training.loop import train_member

    with patch("torch.set_num_threads"):
        train_member(job)


def drawn_jobs(fusion: str, widths: dict[str, int], train: Any, seed: int) -> Iterator[Any]:
    """The members of a fusion that is to be trained on drawn numbers, so many a modality."""
    import torch

    from emofuse.fusion.base import Batch
    from emofuse.fusion.registry import make_model
    from emofuse.training.folds import Origins
    from emofuse.training.loop import Rows, jobs

    generator = torch.Generator().manual_seed(seed)
    inputs = {name: torch.randn(ROWS, width, generator=generator) for name, width in widths.items()}
    batch = Batch(inputs, torch.ones(ROWS, len(widths), dtype=torch.bool))
    rows = Rows(batch, torch.arange(ROWS) % CLASSES)
    make = partial(make_model, fusion, widths, CLASSES, train)
    return jobs(make, rows, Origins([str(row // 10) for row in range(ROWS)]), train, 13)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
