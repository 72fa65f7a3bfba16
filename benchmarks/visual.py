"""Visual features against every frame at full size and against decoding alone; and the faces that are lost."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.timing import Figure, seconds, spent
from emofuse.core.params import VisualParams
from emofuse.core.records import Utterance
from emofuse.features.visual.detectors import CASCADE
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.media.clip import FileClip

FULL_WIDTH = 10_000  # pixels: no frame is scaled down
SURE_NEIGHBORS = 8
LEAST_FACE = 0.1


def decode(clip: Path) -> None:
    """Decode a clip and look at nothing: the floor."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def plain(clip: Path) -> None:
    """Every frame at full size through Haar, and Canny over each face: the way this project began."""
    cascade = cv2.CascadeClassifier(str(CASCADE))
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            gray = cv2.cvtColor(frame.to_ndarray(format="bgr24"), cv2.COLOR_BGR2GRAY)
            for x, y, w, h in cascade.detectMultiScale(gray, 1.1, 4):
                cv2.Canny(gray[y : y + h, x : x + w], 100, 200).mean()


def faces(clip: Path, params: VisualParams) -> tuple[list[bool], list[bool]]:
    """For each sampled frame, whether full-size detection is sure of a face and whether the extractor finds one."""
    cascade = cv2.CascadeClassifier(str(CASCADE))
    sure = []
    for _, frame in FileClip(clip).frames(params.fps, FULL_WIDTH):
        least = round(LEAST_FACE * min(frame.shape))
        sure.append(len(cascade.detectMultiScale(frame, 1.1, SURE_NEIGHBORS, minSize=(least, least))) > 0)
    found = VisualExtractor(params).sightings(FileClip(clip).frames(params.fps, params.width))
    return sure, [bool(sightings) for sightings in found]


def measure(clips: list[Path], params: VisualParams) -> list[Figure]:
    """The figures of visual features over real clips, in one thread."""
    cv2.setNumThreads(1)
    extractor = VisualExtractor(params)
    floor = sum(seconds(partial(decode, clip)) for clip in clips)
    ours = spent(extractor.extract([Utterance(clip=clip) for clip in clips]))
    slow = sum(seconds(partial(plain, clip)) for clip in clips)
    pairs = [faces(clip, params) for clip in clips]
    sure = sum(sum(one) for one, _ in pairs)
    lost = sum(int(np.sum(np.array(one) & ~np.array(other))) for one, other in pairs)
    clips_lost = sum(any(one) and not any(other) for one, other in pairs)
    times = f"{ours:.2f} s here, {slow:.2f} s at full size, {floor:.2f} s for decoding alone, {len(clips)} clips"
    return [
        Figure("visual: times faster than every frame at full size", slow / ours, "at least 25", times),
        Figure("visual: time against decoding alone", ours / floor, "at most 4", times),
        Figure(
            "faces lost against sure full-size detection, % of frames",
            100 * lost / max(sure, 1),
            "at most 2, no clip",
            f"{lost} of {sure} sampled frames, {clips_lost} clips",
        ),
    ]
