"""The whole pipeline on data as users bring it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from tests.pipeline.checkout import Checkout, served


def run(tmp_path: Path, *stages: str, **ingest: Any) -> Checkout:
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    checkout.params(ingest=ingest)
    done = checkout.run("dvc", "repro", *stages)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def report(checkout: Checkout) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(checkout.read("reports/data.json"))
    return found


@pytest.mark.slow
def test_a_hackathon_folder_gives_a_submission(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / "hackathon"
    for split, folder in (("train", "train_splits"), ("test", "output_repeated_splits_test")):
        shutil.copytree(corpus / folder, root / f"{split}_videos")
        table = pd.read_csv(corpus / f"{split}_sent_emo.csv", dtype=str, keep_default_na=False)
        if split == "test":
            table = table.drop(columns="Emotion").iloc[::-1]
            asked = table["Sr No."].tolist()
        table.to_csv(
            root / {"train": "train_emotion.csv", "test": "test_data.csv"}[split],
            index=False,
            encoding="iso-8859-1",
            errors="replace",
        )
    checkout = run(tmp_path, "submit", "data_report", layout="hackathon", root=str(root), id="Sr No.")
    submission = pd.read_csv(checkout.folder / "reports/submission/submission.csv", dtype=str)
    assert submission.columns.tolist() == ["Sr No.", "label"]
    assert submission["Sr No."].tolist() == asked
    labels = set(report(checkout)["labels"])
    assert set(submission["label"]) <= labels
    fuller = pd.read_parquet(checkout.folder / "reports/submission/predictions.parquet")
    assert fuller["predicted"].tolist() == submission["label"].tolist()
    assert fuller.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)


def wavs(root: Path, count: int) -> pd.DataFrame:
    """Tones of two pitches, named by what they would be called."""
    root.mkdir()
    rows = []
    for number in range(count):
        high = number % 2
        time = np.arange(8000) / 16000
        wave = 0.3 * np.sin(2 * np.pi * ((400 if high else 150) + number) * time)
        soundfile.write(root / f"{number}.wav", wave, 16000)
        rows.append({"file": f"{number}.wav", "mood": "Freude" if high else "Trauer"})
    return pd.DataFrame(rows)


@pytest.mark.slow
def test_a_table_of_wav_files_and_labels_trains_and_serves_audio_alone(tmp_path: Path) -> None:
    root = tmp_path / "voices"
    wavs(root, 40).to_csv(root / "table.csv", index=False)
    checkout = run(tmp_path, layout="table", root=str(root), table={"media": "file", "label": "mood"})
    metrics = json.loads(checkout.read("reports/metrics.json"))
    assert metrics["audio"]["test"]["weighted_f1"] > metrics["majority"]["test"]["weighted_f1"]
    assert "no row has visual: models do without it" in report(checkout)["warnings"]
    with served(checkout, checkout.folder, ".") as client:
        answer = client.post("/predict", files={"video": (root / "1.wav").read_bytes()}).json()
    assert list(answer["probabilities"]) == ["freude", "trauer"]
    assert {name: use["present"] for name, use in answer["modalities"].items()} == {"audio": True}


BREAK: dict[str, dict[str, str]] = {
    "clip not found": {"file": "gone.wav"},
    "clip not given": {"file": ""},
    "clip path leaves the data root": {"file": "../outside.wav"},
    "can't be decoded": {"file": "text.wav"},
    "file is empty": {"file": "empty.wav"},
    "no label": {"mood": ""},
    "start time unreadable": {"start": "soon"},
    "start time negative": {"start": "-3"},
    "before it starts": {"start": "9", "end": "1"},
    "by its times": {"start": "0", "end": "305"},
    "position unreadable": {"turn": "first"},
    "split unknown": {"part": "trian"},
}


@pytest.mark.slow
def test_a_fifth_of_a_thousand_rows_broken_in_every_way_stops_nothing(tmp_path: Path) -> None:
    root = tmp_path / "voices"
    sound = wavs(root, 40)
    (root / "text.wav").write_text("no sound")
    (root / "empty.wav").touch()
    (tmp_path / "outside.wav").write_bytes((root / "0.wav").read_bytes())
    rows = [
        sound.iloc[n % 40].to_dict()
        | {
            "scene": f"s{n // 10}",
            "turn": n % 10,
            "part": ("train", "dev", "test")[(n // 10) % 3],
            "start": "0",
            "end": "2",
        }
        for n in range(1000)
    ]
    broken = dict(zip(random.Random(13).sample(range(1000), 200), [*BREAK] * 17, strict=False))
    for number, fault in broken.items():
        rows[number] |= BREAK[fault]
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
    columns = {"media": "file", "label": "mood", "dialogue": "scene", "position": "turn", "split": "part"}
    checkout = run(
        tmp_path, "data_report", layout="table", root=str(root), table={**columns, "start": "start", "end": "end"}
    )
    assert len(pd.read_parquet(checkout.folder / "data/manifest.parquet")) == 1000
    told = {fault["row"]: "; ".join(fault["issues"]) for fault in report(checkout)["faults"]}
    assert set(told) == {number + 1 for number in broken}
    for number, fault in broken.items():
        assert fault in told[number + 1]


@pytest.mark.slow
def test_clips_that_all_fail_are_refused_with_their_reasons(tmp_path: Path) -> None:
    root = tmp_path / "voices"
    root.mkdir()
    (root / "bad.wav").write_text("no sound")
    frame = pd.DataFrame({"file": "bad.wav", "label": ["joy", "fear"] * 20})
    frame.to_csv(root / "table.csv", index=False)
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    checkout.params(ingest={"layout": "table", "root": str(root), "table": {"media": "file"}})
    done = checkout.run("dvc", "repro", "scale")
    assert done.returncode != 0
    assert "labelled training rows is without text, sound and face" in done.stderr
    assert "audio: can't be decoded" in done.stderr
    assert "Traceback" not in done.stderr
