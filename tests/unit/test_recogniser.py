from __future__ import annotations

import json
import string
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperForConditionalGeneration,
)

from emofuse.core.errors import EncoderError, MediaError
from emofuse.core.params import Params, TextParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Utterance
from emofuse.core.weights import PackagedWeights
from emofuse.features.audio import whisper
from emofuse.media.clip import FileClip, MemoryClip
from emofuse.transcription.alignment import token_starts
from emofuse.transcription.extractor import TranscriptExtractor, speech_parts
from emofuse.transcription.recogniser import CtcRecogniser, Recogniser, load_recogniser, loop_end
from emofuse.transcription.voice_activity import RATE, SpeechSpan
from emofuse.transcription.words import Word, confidence_of, pack_words, text_of_words, unpack_words


@pytest.fixture(scope="module")
def embedded() -> Recogniser:
    return load_recogniser("embedded", None, "cpu")


@pytest.fixture(scope="module")
def hearing(params: Params) -> TextParams:
    return params.text.model_copy(update={"recogniser": "embedded"})


@pytest.fixture(scope="module")
def extractor(hearing: TextParams, embedded: Recogniser) -> TranscriptExtractor:
    result = TranscriptExtractor(hearing, "cpu")
    result.__dict__["_recogniser"] = embedded  # loaded once
    return result


@pytest.fixture(scope="module")
def sounds(corpus: Path, embedded: Recogniser) -> list[np.ndarray]:
    """Sounds in which words are heard; the built-in corpus's synthetic voices are hard to follow."""
    sounds = []
    for path in sorted(corpus.rglob("*.mp4"))[:6]:
        with suppress(MediaError):  # some are broken on purpose
            sounds.append(FileClip(path).sound(RATE))
    clear = [sound for sound, words in zip(sounds, embedded.recognise(sounds), strict=True) if words]
    assert len(clear) >= 2
    return clear[:3]


def heard(extractor: TranscriptExtractor, *samples: np.ndarray) -> list[str]:
    rows = extractor.extract([memory(sound) for sound in samples])
    return [row.reason if row.values is None else text_of_words(unpack_words(row.values)) for row in rows]


def memory(samples: np.ndarray) -> Utterance:
    sound = np.round(np.clip(samples, -1, 1) * (2**31 - 1)).astype(np.int64).clip(-(2**31), 2**31 - 1).astype(np.int32)
    return Utterance(clip=MemoryClip((), sound, RATE, len(sound) / RATE))


def test_words_have_times_in_order_inside_the_speech(embedded: Recogniser, sounds: list[np.ndarray]) -> None:
    for sound, words in zip(sounds, embedded.recognise(sounds), strict=True):
        times = [time for word in words for time in (word.start, word.end)]
        assert words and times == sorted(times) and times[0] >= 0 and times[-1] <= len(sound) / RATE
        assert all(0 < word.confidence <= 1 for word in words)


@pytest.mark.slow
def test_what_is_heard_does_not_depend_on_what_else_is(embedded: Recogniser, sounds: list[np.ndarray]) -> None:
    together = embedded.recognise(sounds)
    assert together == embedded.recognise(sounds)
    assert [[word.text for word in row] for row in together] == [
        [word.text for word in embedded.recognise([sound])[0]] for sound in sounds
    ]


def test_words_move_with_the_speech(extractor: TranscriptExtractor, sounds: list[np.ndarray]) -> None:
    sound = sounds[0]
    later = np.concatenate([np.zeros(3 * RATE, np.float32), sound])
    first, second = (
        unpack_words(row.values) for row in extractor.extract([memory(sound), memory(later)]) if row.values is not None
    )
    assert [word.text for word in first] == [word.text for word in second]
    assert [word.start + 3 for word in first] == pytest.approx([word.start for word in second], abs=0.15)


def music(seed: int) -> np.ndarray:
    """Notes of five harmonics, each with a sharp start that fades."""
    draw, times = np.random.default_rng(seed), np.arange(5 * RATE) / RATE
    sound = draw.normal(0, 0.01, len(times))
    for _ in range(12):
        pitch, start, length = 220 * 2 ** (draw.integers(-12, 24) / 12), draw.uniform(0, 4), draw.uniform(0.3, 2)
        fade = np.where((times > start) & (times < start + length), np.exp(-3 * (times - start) / length), 0)
        sound += fade * sum(np.sin(2 * np.pi * pitch * part * times) / part for part in range(1, 6))
    return np.asarray(0.5 * sound / np.abs(sound).max())


def test_silence_noise_music_and_a_fifth_of_a_second_give_no_words(
    extractor: TranscriptExtractor, sounds: list[np.ndarray]
) -> None:
    noise = np.random.default_rng(1).normal(size=4 * RATE)
    speech = sounds[0]
    middle = len(speech) // 2
    others = [
        np.zeros(2 * RATE),
        0.2 * noise,
        0.002 * noise,
        speech[middle : middle + RATE // 5],
        *map(music, range(5)),
    ]
    assert set(heard(extractor, *others)) <= {str(Cause(Reason.NO_SPEECH)), str(Cause(Reason.UNCLEAR))}


def test_clips_without_sound_have_their_reason(extractor: TranscriptExtractor, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    asked = [Utterance(clip=tmp_path / "broken.mp4"), Utterance(clip=tmp_path / "gone.mp4"), Utterance()]
    reasons = [row.cause.reason if row.cause else None for row in extractor.extract(asked)]
    assert reasons == [Reason.UNDECODABLE, Reason.NOT_FOUND, Reason.NO_CLIP]


def test_recognition_that_fails_on_one_sound_costs_that_one(
    hearing: TextParams, embedded: Recogniser, sounds: list[np.ndarray]
) -> None:
    class Choking:
        def recognise(self, sounds: list[np.ndarray]) -> list[list[Word]]:
            if any(len(sound) > 9 * RATE for sound in sounds):
                raise RuntimeError("out of memory\nand more")
            return embedded.recognise(sounds)

    extractor = TranscriptExtractor(hearing, "cpu")
    extractor.__dict__["_recogniser"] = Choking()
    sound = sounds[0]
    good, bad = extractor.extract([memory(sound), memory(np.tile(sound, 10))])
    assert good.values is not None and bad.cause == Cause(Reason.NOT_RECOGNISED, "out of memory")


@pytest.mark.slow
def test_speech_of_more_than_half_a_minute_is_heard_in_parts(
    extractor: TranscriptExtractor, sounds: list[np.ndarray]
) -> None:
    long = np.concatenate(sounds * 6)
    assert len(long) > 30 * RATE
    [row] = extractor.extract([memory(long)])
    assert row.values is not None
    words = unpack_words(row.values)
    times = [word.start for word in words]
    assert times == sorted(times) and times[-1] > len(long) / RATE - 5


@pytest.mark.parametrize(("seconds", "longest"), [(70, 28.0), (100, 10.0), (9, 28.0)])
def test_parts_are_short_enough_and_hold_all_speech(seconds: int, longest: float) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, seconds * RATE).astype(np.float32)
    spans = [SpeechSpan(0.5, seconds / 2), SpeechSpan(seconds / 2 + 0.2, seconds - 0.1)]
    parts = [
        SpeechSpan(part.start, part.start + len(part.sound) / RATE) for part in speech_parts(samples, spans, longest)
    ]
    assert all(first.end <= second.start + 1e-6 for first, second in pairwise(parts))
    assert all(0 <= part.start < part.end <= seconds and part.end - part.start <= longest + 0.01 for part in parts)
    assert all(
        any(p.start <= t <= p.end for p in parts) for span in spans for t in np.arange(span.start, span.end, 0.1)
    )


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ([1, 2, 3, 4] * 5, 4),
        ([9, 8, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1], 7),
        ([1, 2, 3, 4, 1, 2, 3, 4], 8),
        ([7, 7, 7], 3),
        ([5] * 30, 30),
        ([], 0),
    ],
)
def test_a_phrase_that_is_said_again_and_again_is_cut(tokens: list[int], kept: int) -> None:
    assert loop_end(tokens) == kept


@pytest.mark.parametrize("starts", [[0, 3, 9], [0, 1, 2, 3], [0]])
def test_alignment_finds_where_each_token_begins(starts: list[int]) -> None:
    ends = [*starts[1:], 12]
    costs = np.ones((len(starts), 12))
    for token, (start, end) in enumerate(zip(starts, ends, strict=True)):
        costs[token, start:end] = -1
    assert token_starts(costs).tolist() == starts


@pytest.mark.parametrize("seed", range(5))
def test_alignment_costs_least_of_all_orders(seed: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(4, 9))
    best = min(
        (sum(costs[token, places[token] : places[token + 1]].sum() for token in range(4)), places[:4])
        for places in ([0, a, b, c, 9] for a in range(1, 7) for b in range(a + 1, 8) for c in range(b + 1, 9))
    )
    assert token_starts(costs).tolist() == best[1]


@pytest.mark.parametrize(
    "words",
    [[], [Word("Hello,", 0.5, 1.0, 0.9)], [Word("naïve", 0, 1, 0.5), Word("😀🇩🇪", 1, 2, 0.25), Word("語", 2, 3, 1)]],
)
def test_words_survive_as_numbers(words: list[Word]) -> None:
    result = unpack_words(pack_words(words))
    assert [word.text for word in result] == [word.text for word in words]
    assert [word.confidence for word in result] == pytest.approx([word.confidence for word in words])


def test_confidence_is_the_geometric_mean() -> None:
    assert confidence_of([Word("a", 0, 1, 0.25), Word("b", 1, 2, 1.0)]) == pytest.approx(0.5)
    assert confidence_of([]) == 0


def test_packaged_weights_are_those_of_a_folder_that_save_pretrained_wrote(
    embedded: Recogniser, sounds: list[np.ndarray], tmp_path: Path
) -> None:
    model, tokenizer, features = whisper.packaged_whisper()
    for part in (model, tokenizer, features):
        part.save_pretrained(tmp_path)
    again = load_recogniser(str(tmp_path), "en", "cpu")
    assert again.recognise(sounds[:2]) == embedded.recognise(sounds[:2])
    assert isinstance(model, WhisperForConditionalGeneration)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CTC model whose weights nobody trained."""
    folder = tmp_path_factory.mktemp("ctc")
    vocabulary = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4}
    vocabulary |= {letter: 5 + number for number, letter in enumerate(string.ascii_uppercase)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    torch.manual_seed(5)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    convolutions = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (40, 8), "num_feat_extract_layers": 2}
    groups = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    Wav2Vec2ForCTC(Wav2Vec2Config(vocab_size=len(vocabulary), **sizes, **convolutions, **groups)).save_pretrained(
        folder
    )
    return folder


def test_a_ctc_model_is_a_recogniser_too(letters: Path) -> None:
    recogniser = load_recogniser(str(letters), None, "cpu")
    assert isinstance(recogniser, CtcRecogniser)
    frames = [0, 0, 4, 15, 15, 0, 13, 4, 4, 0, 12, 12, 19, 0]  # pad, a gap, KI, a gap, HO
    logs = np.log(np.full(len(frames), 0.5, np.float32))
    words = recogniser._collapse(np.array(frames), logs, 0.02)
    assert [(word.text, round(word.start, 2), round(word.end, 2)) for word in words] == [
        ("ki", 0.06, 0.14),
        ("ho", 0.2, 0.26),
    ]
    assert [word.confidence for word in words] == pytest.approx([0.5, 0.5])


def test_no_language_can_be_told_to_a_model_that_takes_none(letters: Path) -> None:
    with pytest.raises(EncoderError, match=r"text\.language is 'de'"):
        load_recogniser(str(letters), "de", "cpu")


def test_an_english_model_knows_no_other_language() -> None:
    with pytest.raises(EncoderError, match=r"text\.language is 'de', but the recogniser knows en"):
        load_recogniser("embedded", "de", "cpu")


@pytest.mark.slow
def test_what_is_no_recogniser_is_named_with_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    for name in (str(tmp_path), str(tmp_path / "bert"), str(tmp_path / "nowhere"), "no/such-model-of-anyone"):
        with pytest.raises(
            EncoderError, match=r"(?s)text\.recogniser .*can't be loaded: .*expected 'embedded', a folder"
        ):
            load_recogniser(name, None, "cpu")


@pytest.mark.parametrize("package", ["no_such_package", "numpy"])
def test_missing_weights_say_what_to_install(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = PackagedWeights(package, whisper.TINY_EN.file, whisper.TINY_EN.sha256, whisper.TINY_EN.remedy)
    monkeypatch.setattr(whisper, "TINY_EN", weights)
    with pytest.raises(EncoderError, match="\\.\\[transcribe\\]"):
        load_recogniser("embedded", None, "cpu")
