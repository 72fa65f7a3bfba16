"""What the detectors find: stills, stills pasted into a film at many sizes, turned and half hidden.

`python -m benchmarks.faces --stills FOLDER --film CLIP` prints the table; the stills lie in folders by label or in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from emofuse.core import numerics

numerics.pin()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import typer  # noqa: E402

from emofuse.core.params import VisualParams, load_params  # noqa: E402
from emofuse.features.visual.detectors import (  # noqa: E402
    SAME,
    Box,
    Detector,
    Gray,
    cut_out,
    make_detector,
    overlap,
    with_margin,
)
from emofuse.media.decode import timed_frames  # noqa: E402

SIZE = (1280, 720)  # of the frames that faces are pasted into
SHARES = (0.04, 0.06, 0.08, 0.12, 0.16, 0.25)  # of the frame's width
SURROUNDINGS = 0.25  # of a face that are pasted with it, on each side
AGREED = 0.5  # overlap of the boxes of two detectors that see one face
SEED = 13


def stills(folder: Path, every: int) -> list[Gray]:
    """Each `every`th still of a folder, in gray."""
    pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.jpg"))[::every]]
    return [picture.astype(np.uint8, copy=False) for picture in pictures if picture is not None]


def agreed(pictures: list[Gray], detectors: dict[str, Detector]) -> list[Gray]:
    """The faces, with their surroundings, on which all detectors agree, so that none is judged by its own finds."""
    faces = []
    for picture in pictures:
        results = [detector.search(picture) for detector in detectors.values()]
        if all(results) and all(overlap(results[0][0].box, result[0].box) > AGREED for result in results):
            box = results[0][0].box
            faces.append(cut_out(picture, box, box[2], SURROUNDINGS))
    return faces


def pasted(faces: list[Gray], frames: list[Gray], share: float, kind: str) -> Iterator[tuple[Gray, Box]]:
    """Each face at a random place of a frame, and its box; `kind` turns it by 45 degrees or hides its lower half."""
    draw = np.random.default_rng(SEED)
    side = round(share * SIZE[0])
    whole = round(side * (1 + 2 * SURROUNDINGS))
    for number, face in enumerate(faces):
        frame = frames[number % len(frames)].copy()
        patch = cv2.resize(face, (whole, whole), interpolation=cv2.INTER_AREA)
        if kind == "turned":
            turn = cv2.getRotationMatrix2D((whole / 2, whole / 2), float(draw.choice([-45, 45])), 1)
            patch = cv2.warpAffine(patch, turn, (whole, whole), borderMode=cv2.BORDER_REPLICATE)
        if kind == "half hidden":
            patch[:, whole // 2 :] = 96  # a flat thing before the face's right half
        left, top = (int(draw.integers(0, extent - whole + 1)) for extent in (SIZE[0], SIZE[1]))
        frame[top : top + whole, left : left + whole] = patch
        yield frame, with_margin((left, top, whole, whole), -SURROUNDINGS / (1 + 2 * SURROUNDINGS))


def hits(shown: Iterator[tuple[Gray, Box]], detector: Detector, width: int) -> float:
    """Share of the faces whose box is found."""
    results = []
    for frame, (x, y, w, h) in shown:
        ratio = width / frame.shape[1]
        small = cv2.resize(frame, (width, round(frame.shape[0] * ratio)), interpolation=cv2.INTER_AREA)
        box = round(x * ratio), round(y * ratio), round(w * ratio), round(h * ratio)
        results.append(any(overlap(face.box, box) > SAME for face in detector.search(small.astype(np.uint8))))
    return float(np.mean(results))


def main(
    folder: Annotated[Path, typer.Option("--stills", help="folder of portraits, .jpg")],
    film: Annotated[Path, typer.Option(help="film without a face")],
    every: Annotated[int, typer.Option(help="take each so manieth still")] = 6,
) -> None:
    """Print what each detector finds as a table in Markdown."""
    cv2.setNumThreads(1)
    params: VisualParams = load_params().visual
    detectors = {name: make_detector(params.model_copy(update={"detector": name})) for name in ("haar", "centerface")}
    pictures = stills(folder, every)
    frames = [cv2.resize(frame, SIZE).astype(np.uint8) for _, frame in timed_frames(film, params.fps, SIZE[0])]
    print(f"| share found | {' | '.join(detectors)} |\n|---|{'--:|' * len(detectors)}")

    def row(name: str, values: list[float]) -> None:
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |", flush=True)

    row(f"{len(pictures)} stills", [float(np.mean([bool(d.search(p)) for p in pictures])) for d in detectors.values()])
    faces = agreed(pictures, detectors)
    for kind in ("upright", "turned", "half hidden"):
        for share in SHARES:
            shares = [hits(pasted(faces, frames, share, kind), d, params.width) for d in detectors.values()]
            row(f"{kind}, {share:.0%} of the width, {len(faces)} faces", shares)
    row("frames of the film, false", [hits_none(frames, d, params.width) for d in detectors.values()])


def hits_none(frames: list[Gray], detector: Detector, width: int) -> float:
    """Share of frames without a face in which one is seen."""
    small = (cv2.resize(f, (width, f.shape[0] * width // f.shape[1]), interpolation=cv2.INTER_AREA) for f in frames)
    return float(np.mean([bool(detector.search(frame.astype(np.uint8))) for frame in small]))


if __name__ == "__main__":
    typer.run(main)
