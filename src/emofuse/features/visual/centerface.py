"""CenterFace: a small network that finds faces, their eyes, noses and mouths (Xu and others, arXiv 1911.03599)."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.params import VisualParams
from emofuse.core.weights import CENTERFACE
from emofuse.features.visual.detectors import SAME, Box, Detection, Gray, cut_out, is_new, overlap, with_margin
from emofuse.media.pictures import resized

OUTPUTS = ("537", "538", "539", "540")  # heat, log of height and width, offset of the middle, landmarks
CELL = 4  # pixels of a picture that one place of the outputs stands for
STRIDE = 32  # sides of a picture are multiples of it
SEARCH, LEAST = 448, 160  # longest side of the frame in a search: at most, and for a smaller one; pixels
CLOSE, ROOM = 104, 28  # the same in a search for a face that fills it, and what is black on each side of it; pixels
CROP, CROP_MARGIN = 96, 0.35  # side of the picture of a known face's surroundings, and their share of it on each side
SURE = 0.4  # least heat of a new face: in the search, or where it is looked at once more because it is less there
DOUBTFUL, STILL_SURE = 0.06, 0.15  # least heat of a face that is looked at once more, and of one that is followed
SQUARE, RISE = 0.88, 0.037  # side of the square from brows to chin, and how far its middle lies up, by the box's height
NETS = 6  # sizes of picture whose networks are kept
GRAIN = 16  # parts of a pixel that landmarks are rounded to


class CenterFace:
    """Faces from any side, by the network that OpenCV reads."""

    def __init__(self, params: VisualParams, assets: Path | None = None) -> None:
        self._min_face = params.min_face
        self._model = np.frombuffer(CENTERFACE.path(assets).read_bytes(), np.uint8)
        self._nets: OrderedDict[tuple[int, ...], cv2.dnn.Net] = OrderedDict()

    def search(self, frame: Gray) -> list[Detection]:
        """All faces of a frame, largest first; for one that fills it, it is made small and given a margin."""
        longest = max(frame.shape)
        whole = self._search(frame, min(SEARCH / longest, max(1.0, LEAST / longest)), 0)
        faces = self._confirmed(frame, whole) or self._confirmed(frame, self._search(frame, CLOSE / longest, ROOM))
        return sorted(faces, key=lambda face: (-face.box[2], *face.box))

    def _confirmed(self, frame: Gray, candidates: list[Detection]) -> list[Detection]:
        least = self._min_face * min(frame.shape)
        faces: list[Detection] = []
        for face in candidates:
            sure = face if face.confidence >= SURE else self.near(frame, face)
            if sure is not None and sure.confidence >= SURE and sure.box[2] >= least and is_new(sure, faces):
                faces.append(sure)
        return faces

    def _search(self, frame: Gray, ratio: float, room: int) -> list[Detection]:
        """What may be a face of a frame that is reduced by `ratio`, with so many black pixels around it."""
        height, width = (max(1, round(side * ratio)) for side in frame.shape)
        small = resized(frame, width, height)
        down, right = (room + -(side + 2 * room) % STRIDE for side in (height, width))
        picture = cv2.copyMakeBorder(small, room, down, room, right, cv2.BORDER_CONSTANT).astype(np.uint8, copy=False)
        corner = -round(room / ratio), -round(room / ratio)
        return [_placed(face, 1 / ratio, corner) for face in self._faces(picture, DOUBTFUL)]

    def near(self, frame: Gray, last: Detection) -> Detection | None:
        """A face that was seen in the frame before, looked for around its last place."""
        left, top, width, _ = with_margin(last.box, CROP_MARGIN)
        picture = cut_out(frame, last.box, CROP, CROP_MARGIN)
        faces = [_placed(face, width / CROP, (left, top)) for face in self._faces(picture, STILL_SURE)]
        best = max(faces, key=lambda face: overlap(face.box, last.box), default=None)
        return best if best is not None and overlap(best.box, last.box) >= SAME else None

    def _faces(self, picture: Gray, sure: float) -> list[Detection]:
        """The faces of a picture whose sides are multiples of `STRIDE`, surest first, in its pixels."""
        heat, size, offset, points = (output[0] for output in self._forward(picture))
        y, x = np.nonzero(heat[0] > sure)
        order = np.argsort(-heat[0, y, x], kind="stable")
        y, x = y[order], x[order]
        sizes = np.exp(size[::-1, y, x].astype(np.float64)) * CELL  # (width and height, faces)
        middles = (np.stack([x, y]) + 0.5 + offset[::-1, y, x]) * CELL
        sides = SQUARE * sizes[1]
        corners = middles - sides / 2 - [np.zeros(len(x)), RISE * sizes[1]]
        boxes = np.round([*corners, sides]).astype(int).T.tolist()
        landmarks = (middles - sizes / 2 + points[:, y, x].reshape(5, 2, -1)[:, ::-1] * sizes).transpose(2, 0, 1)
        faces: list[Detection] = []
        for number, (left, top, side) in enumerate(boxes):
            face = Detection((left, top, side, side), float(heat[0, y[number], x[number]]), landmarks[number])
            if side and is_new(face, faces):
                faces.append(face)
        return faces

    def _forward(self, picture: Gray) -> tuple[NDArray[np.float32], ...]:
        net = self._nets.pop(picture.shape, None)
        if net is None:  # OpenCV 4.14 folds batch norms into the weights again with each new size, and gives nonsense
            net = cv2.dnn.readNetFromONNX(self._model)
        self._nets[picture.shape] = net
        if len(self._nets) > NETS:
            self._nets.popitem(last=False)
        net.setInput(np.repeat(picture[None, None].astype(np.float32), 3, axis=1))
        return tuple(np.asarray(output, dtype=np.float32) for output in net.forward(OUTPUTS))


def _placed(face: Detection, ratio: float, corner: tuple[int, int]) -> Detection:
    """A face of a picture that shows a frame from `corner` on, reduced by `ratio`, in pixels of the frame."""
    assert face.landmarks is not None
    left, top, side, _ = (round(value * ratio) for value in face.box)
    box: Box = (left + corner[0], top + corner[1], side, side)
    return Detection(box, face.confidence, np.round((face.landmarks * ratio + corner) * GRAIN) / GRAIN)
