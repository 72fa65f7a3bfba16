"""Visual features: the face that speaks, its pixels and edges as in the original system, its shape and its motion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import VisualParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Extracted, Utterance
from emofuse.extraction.clips import OneByOne
from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import MARGIN, PATCH, Aligner, plain
from emofuse.features.visual.detectors import SAME, Box, FaceFinder, Gray, cut_out, overlap
from emofuse.features.visual.face_tracks import Sighting, Track, follow, speaker
from emofuse.features.visual.gabor import GABOR, gabor
from emofuse.features.visual.groups import EDGES, HOG_GROUP, MOUTH_GROUP, PIXELS, edges, hog, mouth, pixels
from emofuse.features.visual.lbp import LBP, lbp
from emofuse.features.visual.motion import MOTION, Loudness, motion, moved

SEARCH_EVERY = 10  # sampled frames
GROUPS = {group.name: group for group in (PIXELS, EDGES, HOG_GROUP, MOUTH_GROUP, LBP, GABOR, MOTION)}
SHARE = FeatureGroup(
    name="face_share",
    columns=("face_share",),
    formula="share of the sampled frames in which the face was found; always among the features",
    unit="1",
    source="this project",
)


def groups(params: VisualParams) -> tuple[FeatureGroup, ...]:
    """The groups that `params` choose, in the order of their columns."""
    return (*(group for name, group in GROUPS.items() if name in params.groups), SHARE)


class VisualExtractor(OneByOne):
    """The chosen feature groups of the face that speaks, over the sampled frames of a clip."""

    def __init__(self, params: VisualParams) -> None:
        self.params = params
        self.names: tuple[str, ...] = tuple(column for group in groups(params) for column in group.columns)
        self._finder, self._aligner = FaceFinder(params), Aligner()

    def warm_up(self) -> None:
        """Look for a face once, so that the cascade is built."""
        self._finder.find(np.zeros((self.params.width * 9 // 16, self.params.width), np.uint8))

    def _one(self, utterance: Utterance, clip: Clip | None) -> Extracted:
        return Extracted(None, utterance.clip_reason) if clip is None else self.watch(clip)[0]

    def watch(self, clip: Clip) -> tuple[Extracted, Track]:
        """The features of a clip, or why there are none, and the face that speaks, at most once a frame."""
        try:
            frames = list(self.sightings(clip.frames(self.params.fps, self.params.width)))
        except MediaError as error:
            return Extracted(None, error.cause), []
        loudness = Loudness(clip)
        face = speaker(follow(frames), loudness.agreement)
        if not face:
            return Extracted(None, Cause(Reason.NO_FACE)), []
        values = self._values(face, loudness)
        share = np.array([len(face) / len(frames)], np.float32)
        chosen = [values[name]() for name in GROUPS if name in self.params.groups]
        return Extracted(np.concatenate([*chosen, share]), clip.damage.get("picture")), face

    def sightings(self, frames: Iterable[tuple[float, Gray]]) -> Iterator[list[Sighting]]:
        """The faces of each frame, which comes with its time; new ones are looked for every `SEARCH_EVERY` frames."""
        known: tuple[Box, ...] = ()
        before: Gray | None = None
        for number, (time, frame) in enumerate(frames):
            boxes = self._finder.find(frame, known if number % SEARCH_EVERY else ())
            patches = [cut_out(frame, box, PATCH, MARGIN) for box in boxes]
            changes = [_change(box, patch, known, before) for box, patch in zip(boxes, patches, strict=True)]
            size = frame.shape[1], frame.shape[0]
            yield [Sighting(time, *seen, size) for seen in zip(boxes, patches, changes, strict=True)]
            known, before = boxes, frame

    def _values(self, face: Track, loudness: Loudness) -> Mapping[str, Callable[[], NDArray[np.float32]]]:
        patches = [sighting.patch for sighting in face]
        faces = [plain(patch) for patch in patches]
        upright = cache(lambda: self._aligner.faces(patches))
        return {
            "pixels": lambda: pixels(faces),
            "edges": lambda: edges(faces),
            "hog": lambda: hog(upright()),
            "mouth": lambda: mouth(upright()),
            "lbp": lambda: lbp(upright()),
            "gabor": lambda: gabor(upright()),
            "motion": lambda: motion(face, loudness.agreement(face)),
        }


def _change(box: Box, patch: Gray, known: tuple[Box, ...], before: Gray | None) -> tuple[float, float, float]:
    """What `moved` gives for a face that was there in the frame before too, else NaN."""
    if before is None or all(overlap(box, other) < SAME for other in known):
        return math.nan, math.nan, math.nan
    return moved(plain(patch), plain(cut_out(before, box, PATCH, MARGIN)))
