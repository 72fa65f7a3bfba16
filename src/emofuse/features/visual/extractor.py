"""Visual features: the face that speaks, its pixels and edges as in the original system, its shape and its motion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import FACE_SHARE, VisualParams, share_column
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Extracted, Utterance
from emofuse.extraction.clips import OneByOne
from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import MARGIN, PATCH, plain, upright
from emofuse.features.visual.detectors import SAME, Detection, Gray, cut_out, overlap
from emofuse.features.visual.face_tracks import Person, Sighting, Track, follow, people, speaker
from emofuse.features.visual.finder import FaceFinder, SearchedFrame
from emofuse.features.visual.gabor import GABOR, gabor
from emofuse.features.visual.groups import EDGES, HOG_GROUP, MOUTH_GROUP, PIXELS, edges, hog, mouth, pixels
from emofuse.features.visual.lbp import LBP, lbp
from emofuse.features.visual.motion import MOTION, Loudness, motion, moved

GROUPS = {group.name: group for group in (PIXELS, EDGES, HOG_GROUP, MOUTH_GROUP, LBP, GABOR, MOTION)}
SHARE = FeatureGroup(
    name="face_share",
    columns=(FACE_SHARE,),
    formula="share of the sampled frames in which the face was found; always among the features, and its name says so "
    "where the Haar cascade found it",
    unit="1",
    source="this project",
)


def visual_groups(params: VisualParams) -> tuple[FeatureGroup, ...]:
    """The groups that `params` choose, in the order of their columns."""
    share = replace(SHARE, columns=(share_column(params.detector),))
    return (*(group for name, group in GROUPS.items() if name in params.groups), *_encoder_groups(params), share)


def _encoder_groups(params: VisualParams) -> tuple[FeatureGroup, ...]:
    if params.encoder == "none":  # torch takes seconds to load
        return ()
    from emofuse.features.visual.encoder import encoder_groups

    return encoder_groups(params)


class Watched(NamedTuple):
    """What was seen in a clip.

    Attributes:
        features: of the face that speaks, or why there are none.
        face: that face, at most once a frame.
        people: everyone, in the order in which they come.
    """

    features: Extracted
    face: Track
    people: list[Person]


class VisualExtractor(OneByOne):
    """The chosen feature groups of the face that speaks, over the sampled frames of a clip."""

    def __init__(self, params: VisualParams, assets: Path | None = None) -> None:
        self.params = params
        self.names: tuple[str, ...] = tuple(column for group in visual_groups(params) for column in group.columns)
        self._finder = FaceFinder(params, assets)

    def warm_up(self) -> None:
        """Look for a face once, so that the detector is built."""
        blank = np.zeros((self.params.width * 9 // 16, self.params.width), np.uint8)
        list(self._finder.look_through([(0.0, blank)]))

    def _one(self, utterance: Utterance, clip: Clip | None) -> Extracted:
        return Extracted(None, utterance.clip_reason) if clip is None else self.watch(clip).features

    def watch(self, clip: Clip) -> Watched:
        """The features of a clip, or why there are none, the face that speaks, and everyone who is seen."""
        try:
            frames = list(self.sightings(clip.frames(self.params.fps, self.params.width)))
        except MediaError as error:
            return Watched(Extracted(None, error.cause), [], [])
        loudness = Loudness(clip)
        tracks = follow(frames)
        face = speaker(tracks, loudness.speech)
        if not face:
            return Watched(Extracted(None, Cause(Reason.NO_FACE)), [], [])
        values = self._values(face, loudness)
        share = np.array([len(face) / len(frames)], np.float32)
        chosen = [values[name]() for name in GROUPS if name in self.params.groups] + self._encoded(face)
        features = Extracted(np.concatenate([*chosen, share]), clip.damage.get("picture"))
        return Watched(features, face, people(tracks, face, loudness.speech))

    def _encoded(self, face: Track) -> list[NDArray[np.float32]]:
        if self.params.encoder == "none":
            return []
        from emofuse.features.visual.encoder import chosen_faces, encoded

        faces = [seen.aligned for seen in chosen_faces(face, self.params.encoder_frames)]
        return [encoded(faces, self.params)]

    def sightings(self, frames: Iterable[tuple[float, Gray]]) -> Iterator[list[Sighting]]:
        """The faces of each frame, which comes with its time."""
        before: SearchedFrame | None = None
        for look in self._finder.look_through(frames):
            yield [_sighting(look, face, before) for face in look.faces]
            before = look

    def _values(self, face: Track, loudness: Loudness) -> Mapping[str, Callable[[], NDArray[np.float32]]]:
        faces, turned = [plain(sighting.patch) for sighting in face], [sighting.aligned for sighting in face]
        return {
            "pixels": lambda: pixels(faces),
            "edges": lambda: edges(faces),
            "hog": lambda: hog(turned),
            "mouth": lambda: mouth(turned),
            "lbp": lambda: lbp(turned),
            "gabor": lambda: gabor(turned),
            "motion": lambda: motion(face, loudness.agreement(face)),
        }


def _sighting(look: SearchedFrame, face: Detection, before: SearchedFrame | None) -> Sighting:
    patch, turn = cut_out(look.frame, face.box, PATCH, MARGIN), upright(face)
    aligned = turn(patch)
    change = math.nan, math.nan, math.nan
    if before is not None and any(overlap(face.box, other.box) >= SAME for other in before.faces):
        change = moved(aligned, turn(cut_out(before.frame, face.box, PATCH, MARGIN)))
    return Sighting(look.time, face, patch, aligned, change, look.frame.shape[::-1], look.shot)
