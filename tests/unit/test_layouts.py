"""Each layout, from files as a user has them to the manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from emofuse.core.errors import DataError
from emofuse.core.layouts import LAYOUTS
from emofuse.core.params import Params
from emofuse.core.records import KEY
from emofuse.core.tables import MANIFEST
from emofuse.datasets.manifest import build_manifest, refuse_unfoldable
from emofuse.datasets.raw_rows import RawRows
from tests.conftest import SEED, ingest
from tests.pipeline.imports import ROOT


def issues_of(manifest: pd.DataFrame, source: str, row: int) -> list[str]:
    found = manifest[(manifest["source"] == source) & (manifest["row"] == row)]
    return list(found["issues"].item())


def test_meld_is_found_as_its_archives_unpack(params: Params, meld_copy: Path, tmp_path: Path) -> None:
    plain, _ = build_manifest(ingest(params, meld_copy, "meld"), SEED)
    nested = tmp_path / "MELD.Raw"
    for split, folder in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        shutil.copytree(meld_copy / folder, nested / split / folder)
        shutil.copy(meld_copy / f"{split}_sent_emo.csv", nested / split)
    manifest, _ = build_manifest(ingest(params, nested, "meld"), SEED)
    assert manifest.drop(columns=["clip", "issues"]).equals(plain.drop(columns=["clip", "issues"]))
    assert manifest["clip"].dropna().str.match(r"(train|dev|test)/\w+/dia").all()


def test_meld_clips_with_the_published_prefix_are_theirs(params: Params, meld_copy: Path) -> None:
    folder = meld_copy / "output_repeated_splits_test"
    clip = next(folder.glob("dia*.mp4"))
    clip.rename(folder / f"final_videos_test{clip.name}")
    (folder / "dia99_utt9.mp4").touch()
    manifest, notes = build_manifest(ingest(params, meld_copy, "meld"), SEED)
    assert f"{folder.name}/final_videos_test{clip.name}" in manifest["clip"].tolist()
    assert any("1 clips have no row in test_sent_emo.csv: dia99_utt9.mp4" in note for note in notes)


def test_meld_csv_files_alone_are_enough(params: Params, meld_copy: Path) -> None:
    for folder in meld_copy.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    manifest, notes = build_manifest(ingest(params, meld_copy, "meld"), SEED)
    assert manifest["clip"].isna().all()
    assert not manifest["issues"].map(len).any()
    assert sum("found no folder of clips" in note for note in notes) == 3


def test_a_split_of_meld_without_its_csv_is_cut_from_train_and_named(params: Params, meld_copy: Path) -> None:
    (meld_copy / "test_sent_emo.csv").unlink()
    manifest, notes = build_manifest(ingest(params, meld_copy, "meld"), SEED)
    assert set(manifest["split"]) == {"train", "dev", "test"}
    assert any("found no test_sent_emo.csv, so that these are not MELD's own three splits" in note for note in notes)
    assert any("no test split in the data: cut from the training rows" in note for note in notes)


def test_meld_without_any_csv_is_refused(params: Params, meld_copy: Path) -> None:
    for path in meld_copy.glob("*.csv"):
        path.unlink()
    with pytest.raises(DataError, match=r"found no train_sent_emo\.csv, no dev_sent_emo\.csv, no test_sent_emo\.csv"):
        build_manifest(ingest(params, meld_copy, "meld"), SEED)


@pytest.fixture
def hackathon(corpus: Path, tmp_path: Path) -> Path:
    """Built-in clips as the hackathon laid them out: ISO-8859-1, unlabelled test rows."""
    root = tmp_path / "hackathon"
    root.mkdir()
    for split, name in (("train", "train_emotion.csv"), ("test", "test_data.csv")):
        table = pd.read_csv(corpus / f"{split}_sent_emo.csv", dtype=str, keep_default_na=False)
        table.loc[0, "Utterance"] = "C'était déjà là!"
        folder = {"train": "train_splits", "test": "output_repeated_splits_test"}[split]
        shutil.copytree(corpus / folder, root / f"{split}_videos")
        if split == "test":
            table = table.drop(columns="Emotion").iloc[::-1]
        table.to_csv(root / name, index=False, encoding="iso-8859-1", errors="replace")
    return root


def test_hackathon_rows_are_cut_by_dialogue_and_the_unlabelled_only_predicted(params: Params, hackathon: Path) -> None:
    manifest, notes = build_manifest(ingest(params, hackathon, "hackathon", id="Sr No."), SEED)
    train = pd.read_csv(hackathon / "train_emotion.csv", encoding="iso-8859-1")
    test = pd.read_csv(hackathon / "test_data.csv", encoding="iso-8859-1", dtype=str)
    assert len(manifest) == len(train) + len(test)
    labelled = manifest[manifest["split"] != "predict"]
    assert set(labelled["split"]) == {"train", "dev", "test"}
    assert (labelled.groupby("dialogue")["split"].nunique() == 1).all()
    predict = manifest[manifest["split"] == "predict"].sort_values("row")
    assert predict["label"].isna().all()
    assert predict["row_id"].tolist() == test["Sr No."].tolist()
    assert (predict["text"] == "C'était déjà là!").sum() == 1
    assert predict["clip"].dropna().str.startswith("test_videos/").all()
    assert any("aren't UTF-8" in note for note in notes)


def table_of(root: Path, frame: pd.DataFrame, name: str = "table.csv") -> None:
    root.mkdir(exist_ok=True)
    frame.to_csv(root / name, index=False)


def test_a_table_of_texts_and_labels_is_enough(params: Params, tmp_path: Path) -> None:
    table_of(tmp_path, pd.DataFrame({"words": [f"line {n}" for n in range(200)], "emotion": ["Joy", "fear"] * 100}))
    manifest, notes = build_manifest(
        ingest(params, tmp_path, "table", table={"text": "words", "label": "emotion"}), SEED
    )
    shares = manifest["split"].value_counts(normalize=True)
    assert shares["dev"] == pytest.approx(0.15, abs=0.05)
    assert shares["test"] == pytest.approx(0.15, abs=0.05)
    assert manifest["position"].isna().all()
    assert manifest["dialogue"].is_unique
    assert len(notes) == 3 and "kept apart in splits and folds: rows" in notes[0]
    for _, part in manifest.groupby("split"):
        assert part["label"].value_counts(normalize=True)["joy"] == pytest.approx(0.5, abs=0.1)


def test_every_column_of_a_table_is_used(params: Params, tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(clip)
    rows = [
        {
            "file": "a.mp4",
            "say": "Hi",
            "emo": "joy",
            "scene": "s1",
            "turn": 7,
            "who": "Ada",
            "t0": 1,
            "t1": 2.5,
            "part": part,
        }
        for part in ("train", "val", "test")
    ]
    rows.append(rows[0] | {"turn": 3, "emo": "fear"})
    table_of(tmp_path, pd.DataFrame(rows))
    columns = {
        "media": "file", "text": "say", "label": "emo", "dialogue": "scene", "position": "turn", "speaker": "who",
        "start": "t0", "end": "t1", "split": "part",
    }  # fmt: skip
    manifest, _ = build_manifest(ingest(params, tmp_path, "table", table=columns), SEED)
    assert manifest["split"].tolist() == ["train", "train", "dev", "test"]
    assert manifest["utterance"].tolist() == [3, 7, 7, 7]
    assert manifest["position"].tolist() == [0, 1, 0, 0]
    assert (manifest["end"] - manifest["start"]).tolist() == [1.5] * 4
    assert manifest["clip_sha256"].nunique() == 1
    assert not manifest["issues"].map(len).any()


ESCAPES = ["../secret.wav", "/etc/hostname", "C:\\secret.wav", "link.wav", "a/../../secret.wav"]


@pytest.mark.parametrize("path", ESCAPES)
def test_a_path_cannot_leave_the_data_root(params: Params, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.wav").symlink_to(tmp_path / "secret.wav")
    frame = pd.DataFrame({"file": [path] + ["x.wav"] * 9, "text": "a b", "label": ["joy", "fear"] * 5})
    table_of(root, frame)
    manifest, _ = build_manifest(ingest(params, root, "table", table={"media": "file", "text": "text"}), SEED)
    assert manifest["clip"].isna().all()
    (issue,) = issues_of(manifest, "table.csv", 1)
    assert issue.startswith("clip path leaves the data root")


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "", " ", "sub"])
def test_a_path_that_is_none_is_an_issue_of_its_row(params: Params, tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    frame = pd.DataFrame({"file": [path] + ["x.wav"] * 9, "text": "a b", "label": ["joy", "fear"] * 5})
    frame.to_parquet(root / "table.parquet")
    table = {"file": "table.parquet", "media": "file", "text": "text"}
    manifest, _ = build_manifest(ingest(params, root, "table", table=table), SEED)
    (issue,) = issues_of(manifest, "table.parquet", 1)
    assert issue.startswith("clip ")


def test_repeated_and_unreadable_positions_are_renumbered_and_named(params: Params, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "say": "hm",
            "label": ["joy", "fear"] * 5,
            "scene": ["s"] * 8 + ["t", "u"],
            "turn": ["1", "1", "x", "0", *"2345", 0, 0],
        }
    )
    table_of(tmp_path, frame)
    table = {"text": "say", "dialogue": "scene", "position": "turn"}
    manifest, _ = build_manifest(ingest(params, tmp_path, "table", table=table), SEED)
    assert len(manifest) == 10
    assert not manifest.duplicated(KEY).any()
    assert issues_of(manifest, "table.csv", 2) == [
        "repeats the number of another utterance of its dialogue; renumbered"
    ]
    assert issues_of(manifest, "table.csv", 3) == ["position unreadable: put last in its dialogue"]


def test_training_rows_that_leak_are_dropped_when_asked(params: Params, tmp_path: Path) -> None:
    rows = [("train", "same words", "joy"), ("test", "Same words!", "joy"), ("train", "other", "fear"),
            ("train", "more", "joy"), ("dev", "else", "joy")]  # fmt: skip
    table_of(tmp_path, pd.DataFrame(rows, columns=["part", "say", "label"]))
    table = {"text": "say", "split": "part"}
    kept, _ = build_manifest(ingest(params, tmp_path, "table", table=table), SEED)
    assert kept["label"].notna().all()
    dropped, notes = build_manifest(
        ingest(params, tmp_path, "table", table=table, drop_leaks=["text", "clip", "time"]), SEED
    )
    row = dropped[(dropped["split"] == "train") & (dropped["text"] == "same words")]
    assert row["label"].isna().item()
    assert row["issues"].item()[0].startswith("dropped from train: same text and speaker as test dialogue")
    assert dropped["label"].isna().sum() == 1
    assert "1 training rows dropped: they say the same as a dev or test row" in notes


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"text": ["a"] * 9, "label": [""] * 9}, "no label left in 9 rows"),
        ({"text": ["a"] * 9, "label": ["joy"] * 9}, "the train split has one class, 'joy'"),
        (
            {"text": ["?"] * 9, "label": ["joy", "fear", "joy"] * 3},
            "every one of 9 rows is without a clip and without text",
        ),
        ({"text": [], "label": []}, "found no rows"),
        (
            {"text": ["a"], "label": ["joy"]},
            "found 1 training rows in 1 rows, at most 1 of a label",
        ),
    ],
)
def test_data_that_nothing_can_be_learnt_from_is_refused(
    params: Params, tmp_path: Path, frame: dict[str, list[str]], message: str
) -> None:
    table_of(tmp_path, pd.DataFrame(frame))
    with pytest.raises(DataError, match=message):
        build_manifest(ingest(params, tmp_path, "table", table={"text": "text"}), SEED)


def test_the_layout_that_the_docs_build_works(
    params: Params, tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs/datasets/own-layout.md").read_text(encoding="utf-8")
    (tmp_path / "by_speaker.py").write_text(page.split("```python\n")[1].split("```")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(LAYOUTS, "by_speaker", "by_speaker:read_by_speaker")
    for number in range(12):
        path = tmp_path / f"s{number // 2}" / f"{('joy', 'fear')[number % 2]}_{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(clip)
    manifest, _ = build_manifest(ingest(params, tmp_path, "by_speaker"), SEED)
    assert list(manifest.columns) == MANIFEST.names
    assert manifest["label"].value_counts().to_dict() == {"joy": 6, "fear": 6}


def test_an_unknown_layout_is_a_mistake_in_params(params: Params) -> None:
    with pytest.raises(ValueError, match="expected one of demo, meld, hackathon, table"):
        ingest(params, Path(), "meldd")


def read_table(params: Params, root: Path, content: str, /, **columns: str | None) -> pd.DataFrame:
    """The manifest of a table as typed, in the order of its rows."""
    (root / "table.csv").write_text(content, encoding="utf-8")
    row_id = columns.pop("id", None)
    table = {"text": "text", "label": "emotion", **columns}
    return build_manifest(ingest(params, root, "table", table=table, id=row_id), SEED)[0].sort_values("row")


def typed(heading: str, row: Callable[[int], str], count: int = 24) -> str:
    return "\n".join([heading, *map(row, range(count)), ""])


MOODS = ("joy", "anger")
INTERNAL = ("source", "row", "issues", "split", "clip", "position", "clean_text", "clock", "alone", "row_id", "0")


@pytest.mark.parametrize("name", INTERNAL)
def test_a_users_column_may_have_any_name(params: Params, tmp_path: Path, name: str) -> None:
    def with_column(cells: str) -> str:
        return typed(f"text,emotion,{name}", lambda n: f"hi {n},{MOODS[n % 2]},{cells.format(n % 3)}")

    read = read_table(params, tmp_path, with_column("who{}"), speaker=name)
    assert read["speaker"].tolist() == [f"who{n % 3}" for n in range(24)]
    assert not read["issues"].map(len).any()
    assert read_table(params, tmp_path, with_column("u{}"), id=name)["row_id"].tolist()[:3] == ["u0", "u1", "u2"]
    text = with_column("what {}")
    assert read_table(params, tmp_path, text, text=name)["text"].tolist()[:2] == ["what 0", "what 1"]
    labels = read_table(params, tmp_path, with_column("mood{}"), label=name)["label"]
    assert sorted(labels.unique()) == ["mood0", "mood1", "mood2"]


@pytest.mark.parametrize("torn", ["Well, I know,joy", "Oh, no, no,anger", '"hm,joy', "joy"])
def test_a_torn_row_gives_no_label_and_no_place(params: Params, tmp_path: Path, torn: str) -> None:
    text = typed("text,emotion", lambda n: torn if n == 5 else f"hi {n},{MOODS[n % 2]}")
    read = read_table(params, tmp_path, text)
    assert len(read) == 24
    assert sorted(read["label"].dropna().unique()) == ["anger", "joy"]
    assert read["label"].isna().tolist() == [n == 5 for n in range(24)]
    assert [bool(len(issues)) for issues in read["issues"]] == [n == 5 for n in range(24)]
    heading, scenes = "scene,text,emotion", [f"s{n // 2}," for n in range(24)]
    text = typed(heading, lambda n: scenes[n] + (torn if n == 5 else f"hi {n},{MOODS[n % 2]}"))
    placed = read_table(params, tmp_path, text, dialogue="scene")
    assert placed["dialogue"].tolist()[4:7] == ["s2", "table.csv:6", "s3"]


def test_a_torn_row_of_meld_takes_no_clip_and_no_speaker(params: Params, meld_copy: Path) -> None:
    path = meld_copy / "dev_sent_emo.csv"
    head, first, *rest = path.read_text(encoding="utf-8").splitlines()
    number, _, others = first.partition(",")
    path.write_text("\n".join([head, f"{number},Well, I never, {others}", *rest]), encoding="utf-8")
    read = build_manifest(ingest(params, meld_copy, "meld"), SEED)[0]
    row = read[(read["source"] == path.name) & (read["row"] == 1)].iloc[0]
    assert (row["label"], row["clip"], row["speaker"], row["text"]) == (None, None, "", "Well")
    assert "fields, expected" in row["issues"][0]


SAME = [
    ("\u00dcber", "U\u0308ber"),
    ("joy", "j\u200doy"),
    ("joy", "\ufeffjoy\u200b"),
    ("sehr froh", "sehr  froh "),
    ("sehr froh", "sehr\u00a0froh"),
    ("na\u00efve", "NAI\u0308VE"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_labels_speakers_and_dialogues_are_one_in_every_form(
    params: Params, tmp_path: Path, one: str, other: str
) -> None:
    names = (one, other, "plain", "plain")
    text = typed("text,emotion", lambda n: f"hi {n},{names[n % 4]}")
    assert sorted(read_table(params, tmp_path, text)["label"].unique()) == sorted({one.lower(), "plain"})
    if other.isupper():
        return  # the case of speakers and dialogues counts
    text = typed("text,emotion,who,scene", lambda n: f"hi {n},{MOODS[n % 2]},{names[n % 2]},{n // 2} {names[n % 2]}")
    read = read_table(params, tmp_path, text, speaker="who", dialogue="scene")
    assert read["speaker"].unique().tolist() == [one]
    assert read["dialogue"].tolist() == [f"{n // 2} {one}" for n in range(24)]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_mapping_of_labels_is_read_as_labels_are(params: Params, tmp_path: Path, one: str, other: str) -> None:
    changed = params.model_copy(update={"ingest": ingest(params, tmp_path, "table", labels={other: f" !{other} "})})
    text = typed("text,emotion", lambda n: f"hi {n},{(one, 'plain')[n % 2]}")
    assert sorted(read_table(changed, tmp_path, text)["label"].unique()) == sorted({f"!{one.lower()}", "plain"})


def test_a_label_that_is_mapped_twice_is_refused(params: Params, tmp_path: Path) -> None:
    ingest(params, tmp_path, "table", labels={"\u00dcber": "joy", "u\u0308ber": " Joy"})
    with pytest.raises(ValueError, match="the label 'über' stands twice, with several targets; keep one"):
        ingest(params, tmp_path, "table", labels={"\u00dcber": "joy", "u\u0308ber": "anger"})
    with pytest.raises(ValueError, match="the label 'x y' stands twice"):
        ingest(params, tmp_path, "table", labels={"x y": None, "X  y": "anger"})


@pytest.mark.parametrize(
    ("dialogues", "labels", "message"),
    [
        (3, 2, "has 1 dialogues with labelled rows, expected at least train.folds = 5; add more$"),
        (5, 2, "has 3 dialogues with labelled rows, expected at least train.folds = 5; add more, or set .* to 3$"),
        (24, 8, "has 1 labelled rows of its largest class, expected at least train.folds = 5; add more$"),
        (24, 4, "has 4 labelled rows of its largest class, expected at least train.folds = 5; add more, or set"),
    ],
)
def test_data_that_cannot_be_folded_is_refused_with_a_remedy_that_helps(
    params: Params, tmp_path: Path, dialogues: int, labels: int, message: str
) -> None:
    text = typed("text,emotion,scene", lambda n: f"hi {n},e{n % labels},s{n % dialogues}", 48 if labels == 2 else 24)
    read = read_table(params, tmp_path, text, dialogue="scene")
    with pytest.raises(DataError, match=f"{tmp_path.name}: the train split {message}"):
        refuse_unfoldable(read, params.train.folds, tmp_path)
    if "or set" in message:
        train = read[read["split"] == "train"]
        refuse_unfoldable(read, min(train["dialogue"].nunique(), train["label"].value_counts().max()), tmp_path)


def test_rows_without_a_label_are_in_no_fold(params: Params, tmp_path: Path) -> None:
    text = typed("text,emotion,scene,part", lambda n: f"hi {n},{MOODS[n // 4 % 2] if n < 16 else ''},s{n // 2},train")
    text += "hi,joy,t,dev\nhi,joy,u,test\n"
    read = read_table(params, tmp_path, text, dialogue="scene", split="part")
    refuse_unfoldable(read, 8, tmp_path)
    with pytest.raises(DataError, match="has 8 dialogues with labelled rows"):
        refuse_unfoldable(read, 9, tmp_path)


def test_a_layout_with_a_column_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="the layout gave the columns alone, mood, expected any of split, dialogue"):
        RawRows(pd.DataFrame({"text": ["hi"], "mood": ["joy"], "alone": ["x"]})).completed()
