"""The sheet of faces in the data report."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from emofuse.core.params import Params
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, FeatureTable
from emofuse.reporting.contact_sheet import FACES, SHOWN, SIDE, Seen, contact_sheet
from tests.conftest import write_clip


def decoded(seen: Seen) -> tuple[int, ...]:
    raw = base64.b64decode(seen.picture.removeprefix("data:image/webp;base64,"))
    return tuple(cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR).shape)


def test_the_sheet_shows_faces_and_frames_without_and_skips_what_is_gone(
    corpus: Path, params: Params, tmp_path: Path
) -> None:
    root = tmp_path
    drawn = sorted(corpus.rglob("*.mp4"))[:3]
    for number, clip in enumerate(drawn):
        (root / f"{number}.mp4").symlink_to(clip)
    write_clip(root / "gray.mp4")
    there, nobody = Extracted(np.zeros(1, np.float32)), Extracted(None, Cause(Reason.NO_FACE))
    rows = [("0.mp4", there), ("1.mp4", there), ("1.mp4", there), ("2.mp4", there), ("gone.mp4", there)]
    rows += [("gray.mp4", nobody), ("gone.mp4", nobody), (None, Extracted(None, Cause(Reason.NO_CLIP)))]
    manifest = pd.DataFrame({"clip": [clip for clip, _ in rows]})
    table = FeatureTable.stack(("face_share",), [row for _, row in rows])
    sheet = contact_sheet(manifest, table, root, params.visual)
    assert {seen.clip for seen in sheet["faces"]} <= {"0.mp4", "1.mp4", "2.mp4"}
    assert len(sheet["faces"]) == len({seen.clip for seen in sheet["faces"]}) >= 2
    assert all(decoded(seen) == (SIDE, FACES * SIDE, 3) for seen in sheet["faces"])
    assert [(seen.clip, decoded(seen)) for seen in sheet["no_face"]] == [("gray.mp4", (90, 160, 3))]
    assert contact_sheet(manifest, table, root, params.visual) == sheet


def test_the_sheet_is_spread_over_all_clips_and_bounded(corpus: Path, params: Params, tmp_path: Path) -> None:
    drawn = sorted(corpus.rglob("*.mp4"))[0]
    names = [f"{number:02d}.mp4" for number in range(30)]
    for name in names:
        (tmp_path / name).symlink_to(drawn)
    table = FeatureTable.stack(("face_share",), [Extracted(np.zeros(1, np.float32))] * 30)
    faces = contact_sheet(pd.DataFrame({"clip": names}), table, tmp_path, params.visual)["faces"]
    assert len(faces) == SHOWN
    assert (faces[0].clip, faces[-1].clip) == ("00.mp4", "29.mp4")
