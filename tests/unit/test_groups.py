"""Groups of features: their columns, and what each measures."""

from __future__ import annotations

import numpy as np
import pytest

from emofuse.core.params import AudioParams, MetadataParams, Params
from emofuse.core.records import Line, Utterance
from emofuse.features.audio.extractor import audio_features
from emofuse.features.audio.functionals import functional_names, functionals
from emofuse.features.metadata import MetadataExtractor
from emofuse.features.registry import all_groups, feature_groups, make_extractor

RATE = 16000


def sine(frequency: float, seconds: float = 1.0, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * frequency * np.arange(round(RATE * seconds)) / RATE)


def buzz(pitch: np.ndarray) -> np.ndarray:
    """A voice-like sound, ten harmonics of a pitch in Hz a sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return 0.1 * sum(np.sin(number * phase) / number for number in range(1, 11))


def heard(params: Params, group: str, samples: np.ndarray) -> dict[str, float]:
    chosen = params.audio.model_copy(update={"groups": [group]})
    values = audio_features(samples.astype(np.float32), chosen)
    return dict(zip(feature_groups(chosen)[0].columns, values.tolist(), strict=True))


@pytest.mark.parametrize("modality", ["text", "audio", "metadata"])
def test_names_are_the_groups_columns_in_order_and_unique(params: Params, modality: str) -> None:
    section = params.extractor(modality)
    names = make_extractor(section).names
    assert names == tuple(name for group in feature_groups(section) for name in group.columns)
    every = [name for group in all_groups(section) for name in group.columns]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("modality", ["text", "audio", "metadata"])
def test_every_group_is_documented(params: Params, modality: str) -> None:
    for group in all_groups(params.extractor(modality)):
        assert group.columns and group.formula and group.unit and group.source
        assert "|" not in group.formula + group.unit + group.source  # they stand in a table


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_every_audio_group_gives_its_columns_at_any_rate(params: Params, rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, rate // 2).astype(np.float32)
    for group in all_groups(params.audio.model_copy(update={"sample_rate": rate})):
        chosen = params.audio.model_copy(update={"sample_rate": rate, "groups": [group.name]})
        assert len(audio_features(noise, chosen)) == len(group.columns), group.name


def test_values_do_not_depend_on_the_other_groups(params: Params) -> None:
    samples = buzz(np.full(RATE, 150.0))
    together = dict(
        zip(make_extractor(params.audio).names, audio_features(samples.astype(np.float32), params.audio), strict=True)
    )
    for group in feature_groups(params.audio):
        alone = heard(params, group.name, samples)
        np.testing.assert_array_equal([together[name] for name in alone], np.array(list(alone.values()), np.float32))


def test_a_rising_pitch_has_a_slope_and_a_range_of_its_rise(params: Params) -> None:
    octave = 150 * 2 ** np.linspace(0, 1, 2 * RATE)
    found = heard(params, "f0", buzz(octave))
    assert found["f0_slope"] == pytest.approx(12, abs=0.5)
    assert found["f0_range"] == pytest.approx(0.9 * 12, abs=0.5)
    assert found["f0_change_mean"] == pytest.approx(12 / (2 / 0.016), rel=0.1)


@pytest.mark.parametrize("pitch", [80, 150, 300, 450])
def test_pitch_is_found_over_the_range_of_voices(params: Params, pitch: float) -> None:
    found = heard(params, "f0", buzz(np.full(RATE, float(pitch))))
    assert found["f0_mean"] == pytest.approx(12 * np.log2(pitch / 55), abs=0.15)


def test_noise_in_a_voice_lowers_its_harmonicity_and_unsteadies_it(params: Params) -> None:
    clean = buzz(np.full(RATE, 150.0))
    noisy = clean + np.random.default_rng(0).normal(0, 0.05, RATE)
    one, other = heard(params, "voice", clean), heard(params, "voice", noisy)
    assert one["hnr_mean"] > other["hnr_mean"] + 10
    assert one["jitter"] < 0.002 < other["jitter"]
    assert one["shimmer"] < other["shimmer"]


def test_a_sound_without_a_voice_has_no_pitch_and_no_voice(params: Params) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    assert np.isnan(heard(params, "f0", noise)["f0_mean"])
    assert np.isnan(heard(params, "voice", noise)["jitter"])


def test_bursts_are_counted_as_syllables(params: Params) -> None:
    loudness = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * np.arange(2 * RATE) / RATE)  # four a second
    assert heard(params, "rate", loudness * sine(200, 2))["syllable_rate"] == pytest.approx(4, abs=0.6)


def test_most_power_of_a_tone_lies_at_its_frequency(params: Params) -> None:
    found = heard(params, "rolloff", sine(1000))
    assert found["rolloff50_mean"] == pytest.approx(1000, abs=20)


def test_noise_is_flat_and_a_tone_is_not(params: Params) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    assert (
        heard(params, "flatness", noise)["flatness_mean"] > heard(params, "flatness", sine(500))["flatness_mean"] + 20
    )


def test_a_bright_sound_tilts_less_than_a_dull_one(params: Params) -> None:
    dull, bright = heard(params, "tilt", sine(300)), heard(params, "tilt", sine(300) + sine(3000))
    assert dull["alpha_ratio_mean"] > bright["alpha_ratio_mean"] + 10
    assert dull["hammarberg_mean"] > bright["hammarberg_mean"] + 10


def test_level_is_that_of_the_wave(params: Params) -> None:
    assert heard(params, "rms", sine(300, loudness=1.0))["rms_p95"] == pytest.approx(-3.01, abs=0.1)


def test_silence_round_the_speech_changes_no_functional_of_it(params: Params) -> None:
    speech = buzz(np.full(RATE, 150.0))
    padded = np.concatenate([np.zeros(RATE), speech, np.zeros(RATE)])
    one, other = heard(params, "mfcc_speech", speech), heard(params, "mfcc_speech", padded)
    assert other["mfcc_speech02_p95"] == pytest.approx(one["mfcc_speech02_p95"], abs=5)
    whole, longer = heard(params, "mfcc", speech), heard(params, "mfcc", padded)
    assert abs(longer["mfcc01_mean"] - whole["mfcc01_mean"]) > 100


def test_functionals_of_a_line() -> None:
    found = dict(zip(functional_names(["x"]), functionals(np.linspace(1, 3, 101)[None]), strict=True))
    assert found == pytest.approx({"x_mean": 2, "x_std": 0.583, "x_p05": 1.1, "x_p95": 2.9, "x_slope": 2}, abs=1e-3)


def test_functionals_of_nothing_are_unknown() -> None:
    assert np.isnan(functionals(np.zeros((2, 0)))).all()


def placed(params: MetadataParams, utterance: Utterance) -> dict[str, float]:
    every = params.model_copy(update={"groups": [group.name for group in all_groups(params)]})
    extractor = MetadataExtractor(every)
    row = next(extractor.extract([utterance])).values
    assert row is not None
    return dict(zip(extractor.names, row.tolist(), strict=True))


SAID = (
    Line(speaker="Ann", start=0.0, end=2.0),
    Line(speaker="Bob", start=2.5, end=4.0),
    Line(speaker="Bob", start=4.0, end=6.0),
)


def test_a_line_after_a_silence_has_a_pause_and_goes_on_with_the_turn(params: Params) -> None:
    found = placed(params.metadata, Utterance(speaker="Bob", start=6.5, end=8, position=3, context=SAID))
    assert found["pause"] == 0.5
    assert found["overlap"] == 0
    assert found["speaker_change"] == 0
    assert found["turn_length"] == 3
    assert found["speaker_share"] == pytest.approx(2 / 3)


def test_a_line_that_cuts_in_overlaps_and_begins_a_turn(params: Params) -> None:
    found = placed(params.metadata, Utterance(speaker="Ann", start=5.0, end=8, position=3, context=SAID))
    assert (found["pause"], found["overlap"]) == (0, 1)
    assert (found["speaker_change"], found["turn_length"]) == (1, 1)
    assert found["speaker_share"] == pytest.approx(1 / 3)


def test_the_first_line_has_nothing_before_it(params: Params) -> None:
    found = placed(params.metadata, Utterance(speaker="Ann", start=5.0, end=8, position=0))
    unknown = {name for name, value in found.items() if np.isnan(value)}
    assert unknown == {"duration", "pause", "overlap", "speaker_change", "speaker_share"}
    assert found["turn_length"] == 1


def test_without_times_and_speakers_these_are_unknown(params: Params) -> None:
    found = placed(params.metadata, Utterance(position=2, context=(Line(), Line())))
    unknown = {name for name, value in found.items() if np.isnan(value)}
    assert unknown == {"duration", "pause", "overlap", "speaker_change", "turn_length", "speaker_share"}


def test_only_the_group_dialogue_looks_at_later_lines(params: Params) -> None:
    here = Utterance(speaker="Bob", start=6.5, end=8, position=3, context=SAID)
    short, long = (
        placed(params.metadata, Utterance(**{**vars(here), "dialogue_length": length})) for length in (4, 20)
    )
    changed = {name for name in short if short[name] != long[name] and not np.isnan(short[name])}
    assert changed == {"relative_position", "dialogue_length"}


def test_a_group_named_twice_is_refused(params: Params) -> None:
    with pytest.raises(ValueError, match="once"):
        AudioParams.model_validate(params.audio.model_dump() | {"groups": ["zcr", "zcr"]})
