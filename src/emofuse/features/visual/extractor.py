"""Visual features: the face that speaks, its pixels and edges as in the original system, its shape and its motion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import FACE_SHARE, VisualParams, share_column
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Extracted, Utterance
from emofuse.extraction.clips import clip_of
from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import MARGIN, PATCH, plain, upright
from emofuse.features.visual.detectors import SAME, Detection, Gray, cut_out, overlap
from emofuse.features.visual.face_tracks import Person, Sighting, Track, follow, people, speaker
from emofuse.features.visual.finder import FaceFinder, SearchedFrame
from emofuse.features.visual.gabor import GABOR, gabor
from emofuse.features.visual.groups import EDGES, HOG_GROUP, MOUTH_GROUP, PIXELS, edges, hog, mouth, pixels
from emofuse.features.visual.lbp import LBP, lbp
from emofuse.features.visual.motion import MOTION, Loudness, motion, moved

CLIPS = 8  # whose faces go through the encoder together
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


def _unseen(cause: Cause | None) -> Watched:
    return Watched(Extracted(None, cause), [], [])


class VisualExtractor:
    """The chosen feature groups of the face that speaks, over the sampled frames of a clip."""

    def __init__(self, params: VisualParams, assets: Path | None = None) -> None:
        self.params = params
        self.names: tuple[str, ...] = tuple(column for group in visual_groups(params) for column in group.columns)
        self._finder = FaceFinder(params, assets)

    def warm_up(self) -> None:
        """Look for a face once, so that the detector is built."""
        blank = np.zeros((self.params.width * 9 // 16, self.params.width), np.uint8)
        list(self._finder.look_through([(0.0, blank)]))

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance, or the reason why there are none.

        The faces of several clips go through the encoder at a time, which changes no bit of what it makes of them.
        """
        rest = iter(utterances)
        while batch := list(islice(rest, CLIPS)):
            watched = []
            for utterance in batch:
                with clip_of(utterance) as clip:
                    watched.append(self._look(clip) if clip else _unseen(utterance.clip_reason))
            yield from self._encoded(watched)

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered."""
        yield from enumerate(self.extract(utterances))

    def watch(self, clip: Clip) -> Watched:
        """The features of a clip, or why there are none, the face that speaks, and everyone who is seen."""
        watched = self._look(clip)
        [features] = self._encoded([watched])
        return watched._replace(features=features)

    def _look(self, clip: Clip) -> Watched:
        """The same, less what the encoder makes of the face."""
        try:
            frames = list(self.sightings(clip.frames(self.params.fps, self.params.width)))
        except MediaError as error:
            return _unseen(error.cause)
        loudness = Loudness(clip)
        tracks = follow(frames)
        face = speaker(tracks, loudness.speech)
        if not face:
            return _unseen(Cause(Reason.NO_FACE))
        values = self._values(face, loudness)
        share = np.array([len(face) / len(frames)], np.float32)
        chosen = [values[name]() for name in GROUPS if name in self.params.groups]
        features = Extracted(np.concatenate([*chosen, share]), clip.damage.get("picture"))
        return Watched(features, face, people(tracks, face, loudness.speech))

    def _encoded(self, watched: Sequence[Watched]) -> list[Extracted]:
        """The features of clips with what the encoder makes of their faces, which stands before the last column."""
        faces = [one.face for one in watched if one.face]
        if self.params.encoder == "none" or not faces:
            return [one.features for one in watched]
        from emofuse.features.visual.encoder import chosen_faces, encoded

        chosen = [[seen.aligned for seen in chosen_faces(face, self.params.encoder_frames)] for face in faces]
        vectors = iter(encoded(chosen, self.params))
        return [
            one.features
            if one.features.values is None
            else replace(one.features, values=np.insert(one.features.values, -1, next(vectors)))
            for one in watched
        ]

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
