"""The same sound in another file."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import soundfile

from emofuse.core.errors import DataError, MediaError
from emofuse.core.params import Params
from emofuse.core.records import MODALITIES, FeatureTable, Utterance
from emofuse.datasets.data_findings import data_findings, headline
from emofuse.datasets.manifest import build_manifest
from emofuse.datasets.near_sounds import near_sounds
from emofuse.extraction.sounds import sound_features
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.media.clip import FileClip
from tests.conftest import SEED, ingest

VOICES = 6


def voices(corpus: Path) -> list[np.ndarray]:
    """What is said in some clips of the built-in corpus."""
    sounds: list[np.ndarray] = []
    for path in sorted(corpus.rglob("*.mp4")):
        with suppress(MediaError):  # some are broken or mute on purpose
            sounds.append(FileClip(path).sound(16000))
    return sounds[:VOICES]


def as_mp4(source: Path, target: Path) -> None:
    samples = FileClip(source).sound(16000)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def table_with_copies(corpus: Path, root: Path) -> dict[str, str]:
    """Write a table of voices of which the first, in train, stands in dev and test in other files; its columns."""
    rows, sounds = [], voices(corpus)
    for number, sound in enumerate(sounds):
        soundfile.write(root / f"{number}.wav", sound, 16000)
        rows.append((f"{number}.wav", ("joy", "fear")[number % 2], ("train", "train", "dev", "test")[number % 4]))
    soundfile.write(root / "again.flac", sounds[0], 16000)
    as_mp4(root / "0.wav", root / "again.mp4")
    rows += [("again.flac", "joy", "test"), ("again.mp4", "joy", "dev")]
    pd.DataFrame(rows, columns=["file", "mood", "part"]).to_csv(root / "table.csv", index=False)
    return {"media": "file", "label": "mood", "split": "part"}


def test_the_same_wav_as_mp4_and_flac_in_train_and_test_is_found(params: Params, corpus: Path, tmp_path: Path) -> None:
    table = table_with_copies(corpus, tmp_path)
    manifest, notes = build_manifest(ingest(params, tmp_path, "table", table=table), SEED)
    extractor = AudioExtractor(params.audio)
    clips = [Utterance(clip=tmp_path / name) for name in manifest["clip"]]
    audio = FeatureTable.stack(extractor.names, list(extractor.extract(clips)))
    (group,) = near_sounds(audio)
    assert set(manifest["clip"].iloc[list(group)]) == {"0.wav", "again.flac", "again.mp4"}
    report = data_findings(manifest, dict.fromkeys(MODALITIES, audio), notes, "table", "mine", 2)
    assert report["duplicates"]["nearly the same sound"]["leaking_rows"] == 1
    assert any("(nearly the same sound): scores will be too good; add sound to" in w for w in report["warnings"])
    assert headline(report)["data/leaking_rows"] == 1


def test_a_training_row_that_sounds_as_a_dev_or_test_row_is_dropped_when_asked(
    params: Params, corpus: Path, tmp_path: Path
) -> None:
    again = table_with_copies(corpus, tmp_path)
    asked = params.model_copy(
        update={
            "ingest": ingest(params, tmp_path, "table", table=again, drop_leaks=["sound"]),
            "extract": params.extract.model_copy(update={"cache": tmp_path / "cache"}),
        }
    )
    manifest, notes = build_manifest(asked.ingest, SEED, sounds=partial(sound_features, params=asked))
    (dropped,) = manifest.index[manifest["issues"].map(lambda issues: any("dropped from train" in i for i in issues))]
    assert manifest.at[dropped, "clip"] == "0.wav" and pd.isna(manifest.at[dropped, "label"])
    assert "1 training rows dropped: they say the same as a dev or test row" in notes
    with pytest.raises(DataError, match="no features of sounds"):
        build_manifest(asked.ingest, SEED)


def test_sounds_of_few_features_or_of_one_clip_are_not_compared() -> None:
    table = FeatureTable(("a",), np.ones((4, 1), np.float32), np.ones(4, bool), ("",) * 4)
    assert not list(near_sounds(table))
    wide = FeatureTable(tuple(map(str, range(30))), np.ones((1, 30), np.float32), np.ones(1, bool), ("",))
    assert not list(near_sounds(wide))


def test_words_and_episodes_that_are_in_train_are_counted(params: Params, tmp_path: Path) -> None:
    head = "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,StartTime,EndTime,Season,Episode"
    for split, who, episode in (("train", "Ann", 1), ("dev", "Ann", 1), ("test", "Bob", 2)):
        lines = [
            f"{n},line {n},{who},{('joy', 'fear')[n % 2]},{n // 2},{n % 2},{n},{n + 0.5},1,{episode}" for n in range(8)
        ]
        (tmp_path / f"{split}_sent_emo.csv").write_text("\n".join([head, *lines, ""]))
    manifest, notes = build_manifest(ingest(params, tmp_path, "meld"), SEED)
    table = FeatureTable(("a",), np.ones((24, 1), np.float32), np.ones(24, bool), ("",) * 24)
    met = data_findings(manifest, dict.fromkeys(MODALITIES, table), notes, "meld", "mine", 2)["met_in_train"]
    assert met["dev"] == {"rows": 8, "same_words": 8, "same_words_by_another": 0, "same_episode": 8}
    assert met["test"] == {"rows": 8, "same_words": 8, "same_words_by_another": 8, "same_episode": 0}
