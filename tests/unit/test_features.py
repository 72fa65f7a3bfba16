from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.errors import DataError, EncoderError
from emofuse.core.params import Params
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, FeatureTable, Utterance
from emofuse.features.audio.extractor import AudioExtractor, audio_features
from emofuse.features.metadata import MetadataExtractor
from emofuse.features.text import encoder
from emofuse.features.text.cues import NAMES, cues
from emofuse.features.text.extractor import TextExtractor
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.fusion.scaling import Scaler, load_scalers, save_scalers
from tests.conftest import write_clip

GONE = Extracted(None, Cause(Reason.OTHER, "gone"))


def named(extractor: AudioExtractor, samples: np.ndarray) -> dict[str, float]:
    values = audio_features(samples.astype(np.float32), extractor.params)
    return dict(zip(extractor.names, values.tolist(), strict=True))


def tone(frequency: float, seconds: float = 1.0, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * frequency * np.arange(round(16000 * seconds)) / 16000)


@pytest.fixture(scope="module")
def audio(params: Params) -> AudioExtractor:
    return AudioExtractor(params.audio)


def test_pitch_of_a_tone_is_its_frequency(audio: AudioExtractor) -> None:
    found = named(audio, tone(220))
    assert found["f0_mean"] == pytest.approx(24, abs=0.1)  # semitones above 55 Hz: two octaves
    assert found["f0_range"] < 0.5
    assert found["voiced_share"] > 0.9


def test_noise_has_no_pitch(audio: AudioExtractor) -> None:
    found = named(audio, np.random.default_rng(0).normal(0, 0.1, 16000))
    assert found["voiced_share"] < 0.1


def test_speaking_time_leaves_out_the_silence(audio: AudioExtractor) -> None:
    found = named(audio, np.concatenate([tone(200), np.zeros(8000), tone(200, seconds=0.5), np.zeros(16000)]))
    assert found["speaking_time"] == pytest.approx(2.0, abs=0.1)
    assert found["speaking_share"] == pytest.approx(0.75, abs=0.05)
    assert found["pauses"] == 1
    assert found["longest_pause"] == pytest.approx(0.5, abs=0.1)


def test_a_higher_tone_has_a_higher_centroid_and_crossing_rate(audio: AudioExtractor) -> None:
    low, high = named(audio, tone(300)), named(audio, tone(3000))
    assert high["centroid_mean"] > 5 * low["centroid_mean"]
    assert high["zcr_mean"] == pytest.approx(10 * low["zcr_mean"], rel=0.1)


def test_the_original_groups_are_statistics_alone(params: Params) -> None:
    plain = AudioExtractor(params.audio.model_copy(update={"groups": ["zcr", "centroid", "mfcc"]}))
    assert len(plain.names) == 4 * (2 + params.audio.n_mfcc)
    assert len(audio_features(tone(200).astype(np.float32), plain.params)) == len(plain.names)


def test_a_sound_shorter_than_a_frame_has_features(audio: AudioExtractor) -> None:
    assert np.isfinite(named(audio, tone(200, seconds=0.01))["mfcc01_mean"])


def test_each_kind_of_bad_clip_is_absent_with_its_reason(audio: AudioExtractor, params: Params, tmp_path: Path) -> None:
    visual = VisualExtractor(params.visual)
    mute = Utterance(clip=write_clip(tmp_path / "mute.mp4", tone=None))
    nothing = Utterance(clip_reason=Cause(Reason.CLIP_NOT_FOUND, "a.mp4"))
    assert [e.reason for e in audio.extract([mute, nothing])] == ["no sound track", "clip not found: a.mp4"]
    assert [e.reason for e in visual.extract([mute, nothing])] == ["no face found", "clip not found: a.mp4"]


def test_metadata_prefers_the_clips_own_length(params: Params, tmp_path: Path) -> None:
    extractor = MetadataExtractor(params.metadata.model_copy(update={"groups": ["dialogue", "duration", "position"]}))
    clip = write_clip(tmp_path / "a.mp4", seconds=2)
    utterance = Utterance(clip=clip, duration=9.0, position=3, dialogue_length=7)
    row = next(extractor.extract([utterance])).values
    assert row is not None
    assert dict(zip(extractor.names, row, strict=True)) == pytest.approx(
        {"duration": 2.0, "position": 3, "relative_position": 0.5, "dialogue_length": 7}, abs=0.1
    )


def test_metadata_without_a_clip_takes_the_tables_length(params: Params) -> None:
    rows = MetadataExtractor(params.metadata.model_copy(update={"groups": ["duration", "position"]})).extract(
        [Utterance(duration=4.5, position=0, dialogue_length=1), Utterance(position=0), Utterance()]
    )
    first, unknown, alone = rows
    assert first.values is not None and first.values[0] == 4.5
    assert unknown.values is not None and np.isnan(unknown.values[0])
    assert alone.reason == "no dialogue context"


@pytest.fixture(scope="module")
def text(params: Params) -> TextExtractor:
    return TextExtractor(params.text.model_copy(update={"pooling": ["mean"]}))


def said(*texts: str) -> list[Utterance]:
    return [Utterance(text=text) for text in texts]


def test_texts_come_back_in_order_whatever_their_length(text: TextExtractor) -> None:
    long = "this is a much longer sentence than all of the others in this list of sentences"
    forward = [row.values for row in text.extract(said("hi", long, "good morning to you"))]
    backward = [row.values for row in text.extract(said("good morning to you", long, "hi"))][::-1]
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_empty_text_is_absent(text: TextExtractor) -> None:
    assert [row.reason for row in text.extract(said("", "hello"))] == ["no text", ""]


def test_last_layer_mean_is_the_sentence_embedding_of_the_model(text: TextExtractor) -> None:
    near, same, far = (
        row.values for row in text.extract(said("a dog ran away", "the puppy escaped", "interest rates rose again"))
    )
    assert near is not None and same is not None and far is not None

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a[: -len(NAMES)][-384:], b[: -len(NAMES)][-384:]
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine(near, same) > cosine(near, far) + 0.3


@pytest.mark.parametrize("pooling", ["max", "cls"])
def test_layers_and_pooling_are_params(params: Params, pooling: str) -> None:
    chosen = params.text.model_copy(update={"groups": ["embedding"], "layers": [-1, 0], "pooling": [pooling]})
    extractor = TextExtractor(chosen)
    assert extractor.names[0] == f"text_l06_{pooling}_0000"
    assert extractor.names[-1] == f"text_l00_{pooling}_0383"
    row = next(extractor.extract(said("hello there")))
    assert row.values is not None and row.values.shape == (768,)


def test_a_layer_that_is_not_there_is_a_message(params: Params) -> None:
    with pytest.raises(EncoderError, match=r"text\.layers names \[9\], but 'embedded' has layers 0 .* to 6"):
        TextExtractor(params.text.model_copy(update={"layers": [9]}))


def test_an_encoder_that_is_not_there_is_a_message(params: Params, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="can't be loaded"):
        TextExtractor(params.text.model_copy(update={"encoder": str(tmp_path)}))


def test_altered_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "MINILM", replace(encoder.MINILM, sha256="0" * 64))
    with pytest.raises(EncoderError, match="found sha256 53aa51172d142c89"):
        encoder.embedded_folder()


def table(*rows: list[float] | None) -> FeatureTable:
    return FeatureTable.stack(
        ["a", "b"],
        [GONE if row is None else Extracted(np.array(row, np.float32)) for row in rows],
    )


def test_scaler_is_fitted_on_present_rows_alone() -> None:
    scaler = Scaler.fit(table([1, 5], None, [3, 5]), clip=10)
    assert scaler.mean.tolist() == [2, 5]
    assert scaler.transform(table([3, 5], None)).tolist() == [[1, 0], [0, 0]]


def test_unknown_features_become_the_mean_and_outliers_are_held() -> None:
    scaler = Scaler.fit(table([0, np.nan], [2, np.nan]), clip=3)
    assert scaler.transform(table([np.nan, 4.0], [100, -100])).tolist() == [[0, 3], [3, -3]]


def test_a_modality_that_is_never_present_can_be_scaled() -> None:
    scaler = Scaler.fit(table(None, None), clip=3)
    assert scaler.transform(table(None, [1, 2])).tolist() == [[0, 0], [1, 2]]


def wide(rows: int) -> FeatureTable:
    values = np.random.default_rng(0).normal(size=(rows, 5)) @ np.diag([1, 5, 1, 1, 1])
    return FeatureTable.stack(
        ["a", "hog_0_mean", "hog_1_mean", "hog_2_mean", "hogs"], [Extracted(v.astype(np.float32)) for v in values]
    )


def test_a_projected_group_is_its_components_after_the_columns_that_are_kept() -> None:
    table = wide(50)
    scaler = Scaler.fit(table, 10, [("hog", 2), ("lbp", 8)])
    scores = scaler.transform(table)
    assert scores.shape == (50, scaler.width) == (50, 4)
    np.testing.assert_array_equal(scores[:, :2], Scaler.fit(table, 10).transform(table)[:, [0, 4]])
    assert scores[:, 2:].mean(axis=0) == pytest.approx(0, abs=1e-5)
    first, second = (variances := np.cov(scores[:, 2:].T)).diagonal()
    assert variances == pytest.approx(np.diag([first, second]), abs=1e-4)
    assert first > second
    assert first + second == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize(("rows", "width"), [(2, 4), (1, 5)])
def test_fewer_rows_than_components_can_be_projected(rows: int, width: int) -> None:
    scores = (scaler := Scaler.fit(wide(rows), 10, [("hog", 3)])).transform(wide(rows))
    assert scores.shape == (rows, scaler.width) == (rows, width)
    assert np.isfinite(scores).all()


def test_a_group_without_a_present_row_is_kept_as_it_is() -> None:
    scaler = Scaler.fit(FeatureTable.stack(["hog_0", "hog_1"], [GONE]), 3, [("hog", 1)])
    assert scaler.width == 2
    assert scaler.transform(table(None, [1, 2])).tolist() == [[0, 0], [1, 2]]


def test_absent_and_unknown_values_are_projected_to_the_middle() -> None:
    seen = wide(50)
    scaler = Scaler.fit(seen, 10, [("hog", 2)])
    unknown = Extracted(np.full(5, np.nan, np.float32))
    scores = scaler.transform(FeatureTable.stack(seen.names, [GONE, unknown]))
    assert scores == pytest.approx(0, abs=1e-5)
    assert (scores[0] == 0).all()


def test_projections_survive_a_round_trip(tmp_path: Path) -> None:
    scaler = Scaler.fit(wide(9), 10, [("hog", 2), ("hogs", 1)])
    save_scalers(tmp_path / "s.safetensors", {"visual": scaler, "audio": Scaler.fit(table([1, 5], [3, 5]), clip=10)})
    back = load_scalers(tmp_path / "s.safetensors")
    np.testing.assert_array_equal(back["visual"].transform(wide(9)), scaler.transform(wide(9)))
    assert back["audio"].projections == ()


def test_scalers_survive_a_round_trip(tmp_path: Path) -> None:
    save_scalers(tmp_path / "s.safetensors", {"audio": Scaler.fit(table([1, 5], [3, 5]), clip=10)})
    back = load_scalers(tmp_path / "s.safetensors")["audio"]
    assert (back.mean.tolist(), back.std.tolist(), back.clip) == ([2, 5], [1, 1], 10)


def test_scaler_of_other_features_is_refused() -> None:
    with pytest.raises(DataError, match="found 2 features, expected the 3"):
        Scaler(np.zeros(3, np.float32), np.ones(3, np.float32), 10).transform(table([1, 2]))


def test_cues_are_read_from_the_raw_text() -> None:
    found = dict(zip(NAMES, cues("NO way... you didn't?! Soooo good!"), strict=True))
    assert found["text_cue_exclamations"] == 2
    assert found["text_cue_questions"] == 1
    assert found["text_cue_ellipses"] == 1
    assert found["text_cue_capitals"] == 1
    assert found["text_cue_capitals_share"] == pytest.approx(1 / 6)
    assert found["text_cue_ends_exclaiming"] == 1
    assert found["text_cue_ends_asking"] == 0
    assert found["text_cue_repeats"] == 2  # the dots, the letters
    assert found["text_cue_mixed_marks"] == 1
    assert found["text_cue_negations"] == 2


def test_cues_are_part_of_the_text_where_they_are_asked_for(params: Params) -> None:
    said = [Utterance(text="HI!")]
    short = params.text.model_copy(update={"layers": [-1], "pooling": ["mean"], "source": "clean"})
    rows = {}
    for asked in (True, False):
        extractor = TextExtractor(short.model_copy(update={"groups": ["embedding", *["cues"] * asked]}))
        (row,) = extractor.extract(said)
        assert row.values is not None
        assert row.values.shape == (len(extractor.names),) == (384 + 14 * asked,)
        rows[asked] = row.values
    assert (rows[True][:384] == rows[False]).all()
