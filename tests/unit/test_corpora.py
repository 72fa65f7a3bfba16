"""Corpora by their names: what the names of files say, and the sets that people quote."""

from __future__ import annotations

import json
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pandas as pd
import pytest

from emofuse.core.errors import DataError
from emofuse.core.layouts import LAYOUTS, WITH_SETS
from emofuse.core.params import Params
from emofuse.datasets.manifest import build_manifest
from emofuse.evaluation.probe.data import ingest_of
from tests.conftest import SEED, ingest
from tests.corpora import MAKERS, emodb, folders, iemocap, ravdess, savee, tone


def read(params: Params, root: Path, layout: str, **changes: Any) -> tuple[pd.DataFrame, list[str]]:
    """The manifest by clip, and its notes."""
    manifest, notes = build_manifest(ingest(params, root, layout, **changes), SEED)
    return manifest.set_index("clip"), notes


def test_every_corpus_has_a_tree_to_be_tested_on() -> None:
    assert set(MAKERS) == set(LAYOUTS) - {"demo", "meld", "hackathon", "table"}


@pytest.mark.parametrize("layout", MAKERS)
def test_a_tree_of_the_right_names_is_read_whole(params: Params, tmp_path: Path, layout: str) -> None:
    MAKERS[layout](tmp_path)
    apart = "row" if layout == "tess" else "auto"  # of two speakers no three splits can be made
    manifest, _ = build_manifest(ingest(params, tmp_path, layout, apart=apart), SEED)
    if layout in ("ravdess", "crema_d", "emodb", "savee"):
        assert manifest.groupby("speaker")["split"].nunique().max() == 1
    assert set(manifest["label"].dropna()) >= {"anger", "joy"}
    if layout == "emorynlp":
        assert len(manifest) == 48
        assert manifest["clip"].isna().all()
    else:
        assert len(manifest) == sum(1 for _ in tmp_path.rglob("*.wav"))
        assert manifest["clip_sha256"].notna().all()
    unlabelled = manifest["label"].isna()
    assert unlabelled.any() == layout.startswith("iemocap")
    assert not manifest.loc[~unlabelled, "issues"].map(len).any()


CASES = [
    ("ravdess", "Actor_12/03-01-06-02-02-01-12.wav", ("fear", "actor12", "Dogs are sitting by the door.", "strong")),
    ("ravdess", "Actor_01/01-01-02-01-01-01-01.mp4", ("calm", "actor01", "Kids are talking by the door.", "normal")),
    ("crema_d", "AudioWAV/1001_MTI_DIS_LO.wav", ("disgust", "actor1001", "Maybe tomorrow it will be cold.", "low")),
    ("crema_d", "AudioWAV/1091_WSI_NEU_XX.wav", ("neutral", "actor1091", "We'll stop in a couple of minutes.", "")),
    ("emodb", "wav/03a01Fa.wav", ("joy", "speaker03", "Der Lappen liegt auf dem Eisschrank.", "")),
    ("emodb", "wav/16a02Lb.wav", ("boredom", "speaker16", "Das will sie am Mittwoch abgeben.", "")),
    ("savee", "AudioData/DC/sa03.wav", ("sadness", "DC", "", "")),
    ("savee", "ALL/JK_su15.wav", ("surprise", "JK", "", "")),
    ("savee", "KL/n30.wav", ("neutral", "KL", "", "")),
    ("tess", "OAF_Pleasant_surprise/OAF_gin_ps.wav", ("surprise", "OAF", "Say the word gin.", "")),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", ("neutral", "OAF", "Say the word bite.", "")),
]  # fmt: skip


@pytest.mark.parametrize(("layout", "name", "says"), CASES)
def test_a_file_name_says_label_speaker_sentence_and_intensity(
    params: Params, tmp_path: Path, layout: str, name: str, says: tuple[str, ...]
) -> None:
    tone(tmp_path / name, "anger", 1)
    frame = resolve_name(LAYOUTS[layout])(ingest(params, tmp_path, layout)).completed()
    assert frame["clip"].tolist() == [name]
    assert tuple(frame.loc[0, ["label", "speaker", "text", "intensity"]]) == says


def test_one_recording_of_a_performance_is_taken(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path)
    performance = "01-05-01-01-01-01"
    for modality in ("02", "01"):
        (tmp_path / f"{modality}-{performance}.mp4").write_bytes(modality.encode())
    tone(tmp_path / "again/Actor_01" / f"03-{performance}.wav", "anger", 1)
    manifest, notes = read(params, tmp_path, "ravdess")
    clips = [clip for clip in manifest.index if performance in clip]
    assert clips == [f"01-{performance}.mp4"]
    assert any(
        note.startswith("3 clips left out, of performances of which another recording is taken") for note in notes
    )


def test_what_is_not_of_the_corpus_is_named_and_left_out(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path)
    for name in ("03-02-05-01-01-01-01.wav", "03-01-09-01-01-01-01.wav", "03-01-05-01-01-01-25.wav", "hello.mp3"):
        tone(tmp_path / "song.wav", "anger", 1)
        (tmp_path / name).write_bytes((tmp_path / "song.wav").read_bytes())
    (tmp_path / "song.wav").unlink()
    (tmp_path / "Actor_01/._03-01-05-01-01-01-01.wav").write_bytes(b"Mac OS X")
    manifest, notes = read(params, tmp_path, "ravdess")
    assert len(manifest) == 64
    (note,) = [note for note in notes if "whose names" in note]
    assert note.startswith("4 clips left out, whose names aren't those of RAVDESS's speech: 03-01-05-01-01-01-25.wav")


@pytest.mark.parametrize("layout", [name for name in MAKERS if name not in ("emorynlp", "folders")])
def test_a_folder_of_something_else_is_refused_with_a_remedy(params: Params, tmp_path: Path, layout: str) -> None:
    tone(tmp_path / "hello.wav", "anger", 1)
    with pytest.raises(DataError, match=r"found .*; set ingest\.root to"):
        read(params, tmp_path, layout)


def test_a_row_keeps_its_name_when_others_come(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path, actors=8)
    before, _ = read(params, tmp_path, "ravdess", set="actor08")
    ravdess(tmp_path, actors=9)
    after, _ = read(params, tmp_path, "ravdess", set="actor08")
    assert after.loc[before.index, "dialogue"].equals(before["dialogue"])


def test_a_published_set_of_actors_is_the_test_split(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path, actors=24)
    manifest, notes = read(params, tmp_path, "ravdess", set="fold1")
    speakers = manifest.groupby("split")["speaker"].unique()
    assert sorted(speakers["test"]) == ["actor03", "actor06", "actor07", "actor13", "actor18"]
    assert not any("no test split" in note for note in notes)
    assert any("no dev split" in note for note in notes)


def test_a_set_with_dev_speakers_needs_no_cut(params: Params, tmp_path: Path) -> None:
    for actor in (1001, 1002, 1060, 1063):
        for code, label in (("ANG", "anger"), ("HAP", "joy")):
            tone(tmp_path / f"{actor}_IEO_{code}_XX.wav", label, actor)
    manifest, notes = read(params, tmp_path, "crema_d", set="audeering")
    assert manifest.groupby("split")["speaker"].unique().map(list).to_dict() == {
        "train": ["actor1001", "actor1002"],
        "dev": ["actor1060"],
        "test": ["actor1063"],
    }
    assert not any("no dev split" in note for note in notes)
    (note, _) = notes  # and what is kept apart
    assert note.startswith("ingest.set audeering is of 35 speakers, of whom actor1049, actor1053")


def test_a_speaker_can_be_left_out_by_name(params: Params, tmp_path: Path) -> None:
    emodb(tmp_path)
    manifest, _ = read(params, tmp_path, "emodb", set="speaker16")
    assert manifest.loc[manifest["split"] == "test", "speaker"].unique().tolist() == ["speaker16"]
    assert "speaker16" not in set(manifest.loc[manifest["split"] != "test", "speaker"])


@pytest.mark.parametrize("name", ["fold9", "actor99", "emobox"])
def test_an_unknown_set_is_refused_with_those_that_there_are(params: Params, tmp_path: Path, name: str) -> None:
    ravdess(tmp_path)
    with pytest.raises(DataError, match=f"found '{name}', expected one of fold0, .*emobox_1.*, or a speaker: actor01"):
        read(params, tmp_path, "ravdess", set=name)


def test_a_set_without_its_speakers_is_refused(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path, actors=7)
    with pytest.raises(DataError, match=r"found no clip of actor08, .*, whom ingest\.set fold3 tests on"):
        read(params, tmp_path, "ravdess", set="fold3")


def test_only_corpora_have_sets(params: Params) -> None:
    with pytest.raises(ValueError, match=r"only the layouts ravdess, .* have sets by name; set it to null"):
        ingest(params, Path(), "meld", set="fold0")
    assert set(WITH_SETS) < set(LAYOUTS)


def test_a_set_is_of_the_place_that_the_params_name(params: Params, tmp_path: Path) -> None:
    named = ingest(params, tmp_path, "ravdess", set="fold0")
    assert ingest_of(named, None, None, {}).set == "fold0"
    assert ingest_of(named, tmp_path, "folders", {}).set is None
    assert ingest_of(named, tmp_path / "table.csv", None, {}).set is None


def test_emobox_lists_are_read_by_name(params: Params, tmp_path: Path) -> None:
    savee(tmp_path)
    lines = [{"key": f"savee-JE-{code}{n:02}", "wav": f"downloads/savee/ALL/JE_{code}{n:02}.wav"}
             for code in "ah" for n in range(1, 7)]  # fmt: skip
    listed = tmp_path / "emobox/savee_test_fold_2.jsonl"
    listed.parent.mkdir()
    listed.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    manifest, notes = read(params, tmp_path, "savee", set="emobox_2")
    assert set(manifest.loc[manifest["split"] == "test", "speaker"]) == {"JE"}
    assert (manifest["split"] == "test").sum() == 12
    assert not any("others quote" in note for note in notes)
    listed.write_text(json.dumps({"wav": "downloads/savee/ALL/JE_d01.wav"}) + "\n" + json.dumps(lines[0]))
    _, notes = read(params, tmp_path, "savee", set="emobox_2")
    assert (
        "savee_test_fold_2.jsonl: 1 of its 2 test files are not here: scores are not those that others quote" in notes
    )
    listed.write_text("<html>not found</html>")
    with pytest.raises(DataError, match=r"savee_test_fold_2\.jsonl: expected a line of JSON with a `wav`"):
        read(params, tmp_path, "savee", set="emobox_2")
    with pytest.raises(DataError, match=r"but found no \*_test_fold_3\.jsonl in it"):
        read(params, tmp_path, "savee", set="emobox_3")


@pytest.mark.parametrize(
    ("layout", "labels", "unlabelled"),
    [
        ("iemocap", {"anger", "joy"}, {"xxx", "fru"}),
        ("iemocap_six", {"anger", "joy", "excitement", "frustration"}, {"xxx"}),
    ],
)
def test_iemocap_in_four_and_in_six_classes(
    params: Params, tmp_path: Path, layout: str, labels: set[str], unlabelled: set[str]
) -> None:
    iemocap(tmp_path)
    manifest, _ = read(params, tmp_path, layout, set="session5")
    assert set(manifest["label"].dropna()) == labels
    assert set(manifest.loc[manifest["split"] == "test", "speaker"]) == {"Ses05F", "Ses05M"}
    assert manifest["text"].str.startswith("Excuse me").all()
    issues = manifest.loc[manifest["label"].isna(), "issues"].map(lambda found: found[0])
    assert set(issues) == {f"label {code!r} is none of the classes" for code in unlabelled}
    first = manifest[manifest["dialogue"] == "Ses01F_impro01"]
    assert first["position"].tolist() == list(range(6))
    assert first["start"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert first["speaker"].tolist() == ["Ses01F", "Ses01M"] * 3


def test_iemocap_says_which_sessions_are_missing(params: Params, tmp_path: Path) -> None:
    iemocap(tmp_path / "IEMOCAP_full_release", actors=6)
    _, notes = read(params, tmp_path, "iemocap")
    assert any("found only Session1, Session2, Session3 of five sessions" in note for note in notes)


def test_emorynlp_keeps_its_splits_and_scenes(params: Params, tmp_path: Path) -> None:
    MAKERS["emorynlp"](tmp_path / "json")
    manifest, _ = build_manifest(ingest(params, tmp_path, "emorynlp"), SEED)
    assert manifest["split"].value_counts().to_dict() == {"train": 32, "dev": 8, "test": 8}
    assert manifest["utterance"].tolist() == [1, 2, 3, 4] * 12
    assert set(manifest["label"]) == {"anger", "joy"}
    (tmp_path / "json/emotion-detection-dev.json").write_text('{"episodes": [{"scenes": [{}]}]}')
    with pytest.raises(DataError, match=r"emotion-detection-dev\.json: expected episodes, scenes and utterances"):
        read(params, tmp_path, "emorynlp")


def test_folders_of_splits_and_labels_are_read(params: Params, tmp_path: Path) -> None:
    for split in ("Train", "val", "test"):
        folders(tmp_path / split, actors=3)
    tone(tmp_path / "predict" / "who.wav", "joy", 1)
    manifest, notes = read(params, tmp_path, "folders")
    assert manifest["split"].value_counts().to_dict() == {"train": 6, "dev": 6, "test": 6, "predict": 1}
    assert manifest["label"].value_counts().to_dict() == {"anger": 9, "joy": 9}
    assert notes == ["kept apart in splits and folds: rows (ingest.apart: auto)"]
    tone(tmp_path / "joy" / "0.wav", "joy", 1)
    with pytest.raises(DataError, match=r"found the folders Train, predict, test, val, .* beside joy; expected splits"):
        read(params, tmp_path, "folders")


def test_folders_without_a_clip_are_refused(params: Params, tmp_path: Path) -> None:
    (tmp_path / "joy").mkdir()
    with pytest.raises(DataError, match="found no video and no sound, expected a folder of clips for each label"):
        read(params, tmp_path, "folders")
