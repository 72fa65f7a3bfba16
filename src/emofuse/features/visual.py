"""Visual features: the face region's pixels and edges, as in the original system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.errors import MediaError
from emofuse.features.base import OneByOne, statistic_names, statistics
from emofuse.media import gray_frames
from emofuse.params import VisualParams
from emofuse.schema import Extracted, Utterance

FACE_SIZE = 96  # pixels; a common size makes edge density independent of how near the face is
CELLS = 4  # edge statistics are taken over a grid of 4 x 4 cells
CANNY = (60, 120)
CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.15  # between the sizes that are searched; 1.1 costs a quarter more and finds no more on real video
SEARCH_EVERY = 10  # sampled frames
NEAR_STEP, NEAR_LEAST, NEAR_MOST, NEAR_MARGIN = 1.2, 0.8, 1.25, 0.3  # of the search round a known face, by its width
Box = tuple[int, int, int, int]  # left, top, width, height in pixels
FRAME_FEATURES = (
    "face_pixel_mean",
    "face_pixel_std",
    "face_pixel_min",
    "face_pixel_max",
    "face_edge_density",
    "face_edge_std",
    "face_edge_min",
    "face_edge_max",
)


class VisualExtractor(OneByOne):
    """Statistics over a clip of the largest frontal face of each sampled frame, and the share of frames with a face.

    Faces are found by the Haar cascade of Viola and Jones (CVPR 2001) that OpenCV ships, edges by Canny (PAMI 1986).
    """

    def __init__(self, params: VisualParams) -> None:
        self.params = params
        self.names: tuple[str, ...] = (*statistic_names(FRAME_FEATURES), "face_share")
        self._cascade = cv2.CascadeClassifier(str(CASCADE))

    def warm_up(self) -> None:
        """Look for a face once, so that the cascade is built."""
        self._largest(np.zeros((self.params.width * 9 // 16, self.params.width), np.uint8))

    def _one(self, utterance: Utterance) -> Extracted:
        if utterance.clip is None:
            return Extracted(None, utterance.clip_reason)
        try:
            faces = list(self.faces(gray_frames(utterance.clip, self.params.fps, self.params.width)))
        except MediaError as error:
            return Extracted(None, str(error))
        found = [face_features(face) for face in faces if face is not None]
        if not found:
            return Extracted(None, "no face found")
        values = statistics(np.stack(found, axis=1))
        return Extracted(np.append(values, np.float32(len(found) / len(faces))))

    def faces(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8] | None]:
        """The face region of each frame, or None.

        Looking at a whole frame costs most of all, so a known face is looked for around its last place; the whole frame
        is looked at where there was none or it is lost, and every `SEARCH_EVERY` frames for a larger one.
        """
        box: Box | None = None
        for number, frame in enumerate(frames):
            known = box if number % SEARCH_EVERY else None
            box = (known and self._near(frame, known)) or self._largest(frame)
            if box is None:
                yield None
            else:
                x, y, w, h = box
                yield frame[y : y + h, x : x + w]

    def _near(self, frame: NDArray[np.uint8], box: Box) -> Box | None:
        x, y, w, _ = box
        margin = round(w * NEAR_MARGIN)
        left, top = max(0, x - margin), max(0, y - margin)
        region = frame[top : y + w + margin, left : x + w + margin]
        found = self._detect(region, round(w * NEAR_LEAST), round(w * NEAR_MOST), NEAR_STEP)
        return found and (found[0] + left, found[1] + top, found[2], found[3])

    def _largest(self, frame: NDArray[np.uint8]) -> Box | None:
        least = max(24, round(self.params.min_face * min(frame.shape)))
        return self._detect(frame, least, max(frame.shape), SCALE_STEP)

    def _detect(self, image: NDArray[np.uint8], least: int, most: int, step: float) -> Box | None:
        boxes = self._cascade.detectMultiScale(
            image, step, self.params.min_neighbors, minSize=(least, least), maxSize=(most, most)
        )
        if not len(boxes):
            return None
        x, y, w, h = max(boxes, key=lambda box: (box[2] * box[3], -box[0], -box[1]))
        return int(x), int(y), int(w), int(h)


def face_features(face: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of one face region.

    Args:
        face: gray, uint8 of shape (height, width).

    Returns:
        float32 of shape (8,): mean, standard deviation, minimum and maximum of the pixels (0 black to 1 white), then
        the share of edge pixels, and the standard deviation, minimum and maximum of that share over 4 x 4 cells.
    """
    face = cv2.resize(face, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    pixels = face.astype(np.float32) / 255
    edges = cv2.Canny(face, *CANNY).astype(np.float32) / 255
    step = FACE_SIZE // CELLS
    cells = edges.reshape(CELLS, step, CELLS, step).mean(axis=(1, 3))
    return np.array(
        [
            *(pixels.mean(), pixels.std(), pixels.min(), pixels.max()),
            *(edges.mean(), cells.std(), cells.min(), cells.max()),
        ],
        dtype=np.float32,
    )
