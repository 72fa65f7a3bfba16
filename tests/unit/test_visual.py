from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_corpus.cast import CAST
from demo_corpus.clip import Picture, write_clip
from demo_corpus.scene import film
from emofuse.core.params import Params
from emofuse.core.records import Utterance
from emofuse.features.visual.alignment import FACE, MARGIN, PATCH, Aligner, plain
from emofuse.features.visual.detectors import FaceFinder, Gray, cut_out, overlap
from emofuse.features.visual.extractor import GROUPS, SHARE, VisualExtractor, groups
from emofuse.features.visual.face_tracks import Sighting, follow, speaker
from emofuse.features.visual.gabor import GRID as GABOR_GRID
from emofuse.features.visual.gabor import gabor
from emofuse.features.visual.groups import edges, hog, mean_and_peak, mouth, pixels
from emofuse.features.visual.lbp import CELL, GRID, PATTERNS, RADII, lbp
from emofuse.features.visual.motion import MOTION, Loudness, motion
from emofuse.media.clip import FileClip

RATE = 24
# Loudness by picture: syllables for 1.5 s, silence for 1.5 s.
TALK = np.repeat([*np.random.default_rng(0).permutation(np.linspace(0.1, 1, 9)), *np.zeros(9)], 4)


def drawn(who: int, level: np.ndarray, emotion: str = "neutral") -> list[Picture]:
    return list(film(CAST[who], emotion, level, 0, None, np.random.default_rng(who)))


def gray(picture: Picture) -> Gray:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8)


def voice(level: np.ndarray) -> np.ndarray:
    times = np.arange(len(level) * 16000 // RATE)
    loud = level[np.minimum(times * RATE // 16000, len(level) - 1)]
    return (0.5 * loud * np.sin(2 * np.pi * 200 * times / 16000)).astype(np.float32)


def pair(path: Path, speaks: int, sound: bool = True) -> Path:
    """Two drawn faces side by side, of which one moves its mouth with the sound and the other after it."""
    films = [drawn(who, TALK if who == speaks else TALK[::-1]) for who in (0, 1)]
    both = [np.hstack([left[:, 160:480], right[:, 160:480]]) for left, right in zip(*films, strict=True)]
    write_clip(path, both, RATE, voice(TALK) if sound else None, 16000)
    return path


def middle_of_the_speaker(visual: VisualExtractor, clip: Path) -> list[float]:
    tracks = follow(visual.sightings(FileClip(clip).frames(visual.params.fps, visual.params.width)))
    chosen = speaker(tracks, Loudness(FileClip(clip)).agreement)
    assert len(chosen) > 8
    return [sighting.box[0] + sighting.box[2] / 2 for sighting in chosen]


@pytest.fixture(scope="module")
def visual(params: Params) -> VisualExtractor:
    return VisualExtractor(params.visual)


@pytest.mark.parametrize("speaks", [0, 1])
def test_of_two_faces_the_one_whose_mouth_moves_with_the_sound_is_measured(
    visual: VisualExtractor, tmp_path: Path, speaks: int
) -> None:
    half = visual.params.width / 2
    middles = middle_of_the_speaker(visual, pair(tmp_path / "a.mp4", speaks))
    assert all((middle > half) == bool(speaks) for middle in middles)


def test_without_sound_one_face_is_kept_all_the_same(visual: VisualExtractor, tmp_path: Path) -> None:
    middles = middle_of_the_speaker(visual, pair(tmp_path / "a.mp4", 0, sound=False))
    assert np.ptp(middles) < visual.params.width / 8


def test_a_drawn_speaker_agrees_with_the_sound(visual: VisualExtractor, tmp_path: Path) -> None:
    clips = {}
    for name, level in {"speaks": TALK, "silent": np.zeros(len(TALK))}.items():
        write_clip(clips.setdefault(name, tmp_path / f"{name}.mp4"), drawn(2, level), RATE, voice(TALK), 16000)
    mute = tmp_path / "mute.mp4"
    write_clip(mute, drawn(2, TALK), RATE, None, 16000)
    found = {}
    for clip in (*clips.values(), mute):
        (row,) = visual.extract([Utterance(clip=clip)])
        assert row.values is not None
        found[clip.stem] = dict(zip(visual.names, row.values, strict=True))
    assert found["speaks"]["motion_agreement"] > 0.4
    assert found["speaks"]["motion_agreement"] > found["silent"]["motion_agreement"]
    assert found["speaks"]["motion_mouth_share"] > found["silent"]["motion_mouth_share"]
    assert np.isnan(found["mute"]["motion_agreement"])
    assert found["mute"]["motion_mouth_mean"] > 0


def test_drawn_faces_are_found_and_measured(corpus: Path, visual: VisualExtractor) -> None:
    clips = sorted((corpus / "train_splits").glob("*.mp4"))[:6]
    found = [row.values for row in visual.extract([Utterance(clip=clip) for clip in clips]) if row.values is not None]
    assert len(found) >= 4
    assert np.mean([values[visual.names.index("face_share")] for values in found]) > 0.9
    known = [index for index, name in enumerate(visual.names) if name != "motion_agreement"]
    assert all(np.isfinite(values[known]).all() for values in found)


@pytest.mark.parametrize("chosen", [["edges"], ["hog", "pixels"], ["lbp", "mouth"], ["gabor"], ["motion"]])
def test_groups_are_params_and_name_the_columns(corpus: Path, params: Params, chosen: list[str]) -> None:
    section = params.visual.model_copy(update={"groups": chosen})
    extractor = VisualExtractor(section)
    assert extractor.names == tuple(column for group in groups(section) for column in group.columns)
    assert {group.name for group in groups(section)} == {*chosen, "face_share"}
    clip = min((corpus / "train_splits").glob("*.mp4"))
    (row,) = extractor.extract([Utterance(clip=clip)])
    assert row.values is not None and row.values.shape == (len(extractor.names),)


def test_no_two_groups_share_a_column() -> None:
    columns = [column for group in (*GROUPS.values(), SHARE) for column in group.columns]
    assert len(set(columns)) == len(columns)


def test_a_face_that_fills_the_frame_is_found(params: Params) -> None:
    finder = FaceFinder(params.visual)
    picture = gray(drawn(0, TALK[:1])[0])
    (x, y, w, h), *_ = finder.find(picture)
    close = picture[y + h // 12 : y + h - h // 20, x + w // 14 : x + w - w // 14]
    (box,) = finder.find(np.ascontiguousarray(close))
    assert overlap(box, (0, 0, close.shape[1], close.shape[0])) > 0.7


def test_a_known_face_is_found_again_near_its_place(params: Params) -> None:
    finder = FaceFinder(params.visual)
    first, later = (gray(picture) for picture in islice(drawn(1, TALK), 0, 9, 8))
    (known,) = finder.find(first)
    (found,) = finder.find(later, (known,))
    assert overlap(known, found) > 0.6


def test_what_a_face_has_beyond_the_frame_repeats_its_edge() -> None:
    frame = np.tile(np.arange(40, dtype=np.uint8), (40, 1))
    out = cut_out(frame, (-20, 0, 40, 40), 40)
    assert (out[:, :20] == 0).all()
    assert (out[:, 20:] == frame[:, :20]).all()


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 10, 5, 5)) == 0


def patch_of(picture: Gray, finder: FaceFinder) -> Gray:
    return cut_out(picture, finder.find(picture)[0], PATCH, MARGIN)


def test_a_tilted_face_is_turned_upright(params: Params) -> None:
    finder, aligner = FaceFinder(params.visual), Aligner()
    picture = gray(drawn(4, TALK[:1])[0])
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 10, 1)
    tilted = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    patches = [patch_of(one, finder) for one in (picture, tilted)]

    def difference(one: Gray, other: Gray) -> float:
        return float(np.abs(hog([one]) - hog([other])).mean())

    (upright,), (mended,) = (aligner.faces([patch]) for patch in patches)
    assert difference(upright, mended) < 0.8 * difference(plain(patches[0]), plain(patches[1]))


def test_a_face_without_eyes_is_left_as_it_stands() -> None:
    patch = np.full((PATCH, PATCH), 90, np.uint8)
    (face,) = Aligner().faces([patch])
    assert face.shape == (FACE, FACE)
    assert (face == plain(patch)).all()


def test_a_flat_face_has_no_edges() -> None:
    flat = np.full((FACE, FACE), 128, np.uint8)
    assert pixels([flat])[::4] == pytest.approx([128 / 255, 0, 128 / 255, 128 / 255])
    assert (edges([flat]) == 0).all()


def test_edges_are_counted_where_they_are() -> None:
    face = np.zeros((FACE, FACE), np.uint8)
    face[:, 48:] = 255  # one upright edge
    density, std, least, most = edges([face])[::4]
    assert 0 < density < 0.05
    assert least == 0 < std < most


def test_a_face_and_its_mirror_image_have_one_histogram() -> None:
    face = np.random.default_rng(0).integers(0, 255, (FACE, FACE), np.uint8)
    np.testing.assert_allclose(hog([face]), hog([np.ascontiguousarray(face[:, ::-1])]), atol=1e-6)


def test_the_mouth_is_measured_apart_from_the_brow() -> None:
    face = np.random.default_rng(0).integers(0, 255, (FACE, FACE), np.uint8)
    brow, lips = face.copy(), face.copy()
    brow[20:40], lips[70:80] = 0, 0
    assert (mouth([face]) == mouth([brow])).all()
    assert (mouth([face]) != mouth([lips])).any()
    np.testing.assert_allclose(mouth([face]), mouth([np.ascontiguousarray(face[:, ::-1])]), atol=1e-6)


def test_a_face_and_its_mirror_image_have_the_same_patterns() -> None:
    face = np.random.default_rng(0).integers(0, 255, (FACE, FACE), np.uint8)
    np.testing.assert_allclose(lbp([face]), lbp([np.ascontiguousarray(face[:, ::-1])]))


def test_patterns_are_shares_of_a_cell() -> None:
    face = np.random.default_rng(0).integers(0, 255, (FACE, FACE), np.uint8)
    shares = lbp([face, face[::-1].copy()]).reshape(-1, PATTERNS) ** 2
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)


def test_an_edge_changes_the_patterns_of_its_own_cell_alone() -> None:
    flat = np.full((FACE, FACE), 90, np.uint8)
    marked = flat.copy()
    marked[CELL + 12, CELL + 8 : CELL + 16] = 200  # well within the second cell of the second row
    changed = (lbp([flat]) != lbp([marked])).reshape(len(RADII), GRID, GRID // 2, PATTERNS).any(axis=3)
    assert np.argwhere(changed).tolist() == [[index, 1, 1] for index in range(len(RADII))]


def test_patterns_do_not_depend_on_the_light() -> None:
    face = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 120, (FACE, FACE), np.uint8), (0, 0), 3)
    np.testing.assert_array_equal(lbp([face]), lbp([(face + 40).astype(np.uint8)]))


def test_patterns_of_a_clip_are_the_shares_over_all_its_faces() -> None:
    faces = list(np.random.default_rng(0).integers(0, 255, (2, FACE, FACE), np.uint8))
    each = np.stack([lbp([face]) for face in faces]) ** 2
    np.testing.assert_allclose(lbp(faces) ** 2, each.mean(axis=0), rtol=1e-5)


def test_the_peak_is_the_frame_that_differs_most() -> None:
    rows = np.array([[1, 1], [1, 1], [1, 5], [1, 1]], np.float32)
    assert mean_and_peak(rows).tolist() == [1, 2, 0, 3]


def seen(time: float, box: tuple[int, int, int, int], moved: float = 0.0) -> Sighting:
    return Sighting(time, box, np.zeros((PATCH, PATCH), np.uint8), (moved, moved, moved), (448, 252))


def test_faces_are_followed_and_a_cut_starts_new_ones() -> None:
    left, right = (0, 0, 50, 50), (200, 0, 40, 40)
    tracks = follow([[seen(0, left), seen(0, right)], [seen(0.2, (204, 2, 40, 40)), seen(0.2, left)], [seen(3, left)]])
    assert [[sighting.time for sighting in track] for track in tracks] == [[0, 0.2], [0, 0.2], [3]]
    assert tracks[1][1].box[0] == 204


def test_the_large_and_steady_face_is_kept_whatever_a_bystander_does() -> None:
    near = [seen(time, (0, 0, 90, 90)) for time in range(5)]
    far = [seen(time, (200, 0, 30, 30)) for time in range(5)]
    assert speaker([far, near], lambda track: 1.0 if track is far else 0.0) == near


def test_faces_of_one_shot_after_another_are_all_kept() -> None:
    first, second = [seen(0, (0, 0, 50, 50))], [seen(1, (200, 0, 90, 90))]
    assert speaker([first, second], lambda _: np.nan) == [*first, *second]


def test_a_face_that_is_seen_once_has_no_motion() -> None:
    once = Sighting(0, (0, 0, 9, 9), np.zeros((PATCH, PATCH), np.uint8), (np.nan,) * 3, (448, 252))
    assert np.isnan(motion([once], np.nan)).all()
    assert len(motion([once], np.nan)) == len(MOTION.columns)


def test_a_face_and_its_mirror_image_have_the_same_energies() -> None:
    face = np.random.default_rng(0).integers(0, 255, (FACE, FACE), np.uint8)
    np.testing.assert_allclose(gabor([face]), gabor([np.ascontiguousarray(face[:, ::-1])]), atol=1e-4)


def test_energy_is_where_the_stripes_are() -> None:
    face = np.full((FACE, FACE), 128, np.uint8)
    face[60:84, ::6] = 255  # upright stripes, as far apart as the shorter wave is long
    energies = gabor([face]).reshape(GABOR_GRID, GABOR_GRID // 2, -1)[:, :, 0]
    assert np.argmax(energies.sum(axis=1)) in (5, 6)
    assert energies[0].max() < 0.1 * energies[6].max()


def test_a_flat_face_has_no_energy() -> None:
    assert (gabor([np.full((FACE, FACE), 128, np.uint8)]) < 0.1).all()
