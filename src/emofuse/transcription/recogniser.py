"""Speech recognition by any pretrained model that transformers loads: sequence to sequence, or CTC."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from emofuse.core.errors import EncoderError
from emofuse.core.hub import loading
from emofuse.core.linear import through_onednn
from emofuse.core.params import EMBEDDED
from emofuse.features.audio.whisper import SAMPLES_A_POSITION, packaged_whisper, whisper_states
from emofuse.transcription.alignment import alignment_costs, token_starts
from emofuse.transcription.voice_activity import RATE
from emofuse.transcription.words import Word, confidence_of, text_of_words

Sound = NDArray[np.float32]
STEP = RATE // 2  # samples: sounds are lengthened with silence to multiples of this, so that batches are of one length
QUIET = RATE // 2  # samples of silence after a sound, at least
BATCH = 16  # sounds
TOKENS, TOKENS_A_SECOND = 10, 10  # that are written at most: fast speech has half as many
LEAST_LOOP, LOOPS = 4, 3  # tokens of a phrase, and how often it stands in a row where a decoder loops
LEAST_CONFIDENCE = 0.37  # Whisper's own bound, a mean log probability of -1: below, it guesses
MOST_REPETITION = 2.4  # by which text may be compressed, as in Whisper: what loops is compressed further
WORD_MARKS = ("Ġ", "▁")  # with which tokenizers mark the first token of a word


class Recogniser(ABC):
    """A loaded model. What it hears in a sound is the same whatever other sounds it is given.

    Args:
        model: in evaluation mode.
        tokenizer: of its output.
        extractor: of its input.
    """

    def __init__(self, model: Any, tokenizer: Any, extractor: Any) -> None:
        self._model, self._tokenizer, self._extractor = model, tokenizer, extractor

    def recognise(self, sounds: Sequence[Sound]) -> list[list[Word]]:
        """The words of n sounds; none where what was heard is a guess or a loop.

        Args:
            sounds: mono at 16 kHz, each of shape (samples,), with speech; Whisper takes at most 30 s.
        """
        words: dict[int, list[Word]] = {}
        lengths = [-(-(len(sound) + QUIET) // STEP) * STEP for sound in sounds]
        for length, numbers in groupby(sorted(range(len(sounds)), key=lengths.__getitem__), lengths.__getitem__):
            same = list(numbers)
            for start in range(0, len(same), BATCH):
                batch = same[start : start + BATCH]
                words |= zip(batch, self._batch([sounds[number] for number in batch], length), strict=True)
        return [words[number] for number in range(len(sounds))]

    def _batch(self, sounds: Sequence[Sound], length: int) -> Iterator[list[Word]]:
        padded = [np.pad(sound, (0, max(0, length - len(sound)))) for sound in sounds]
        with torch.inference_mode():
            rows = self._hear(padded, [len(sound) for sound in sounds])
        for row in rows:
            text = text_of_words(row).encode()
            loops = len(text) > MOST_REPETITION * len(zlib.compress(text)) if text else False
            yield [] if loops or confidence_of(row) < LEAST_CONFIDENCE else row

    @abstractmethod
    def _hear(self, sounds: Sequence[Sound], lengths: Sequence[int]) -> list[list[Word]]:
        """The words of sounds that were lengthened to one length, each with its own."""

    def _inputs(self, sounds: Sequence[Sound]) -> dict[str, Tensor]:
        given = self._extractor(list(sounds), sampling_rate=RATE, return_tensors="pt")
        return {name: value.to(self._model.device) for name, value in given.items()}

    def _words(self, ids: Sequence[int], times: NDArray[np.float64], logs: NDArray[np.float64]) -> list[Word]:
        """Words of t tokens, of the start and the end of each in seconds, shape (t + 1,), and of log probabilities."""
        groups: list[list[int]] = []
        for number, token in enumerate(self._tokenizer.convert_ids_to_tokens(list(ids))):
            if not groups or token.startswith(WORD_MARKS):
                groups.append([])
            groups[-1].append(number)
        words = []
        for group in groups:
            for text in self._tokenizer.decode([ids[number] for number in group]).split():  # a foreign tokenizer's
                confidence = float(np.exp(logs[group].mean()))
                words.append(Word(text, float(times[group[0]]), float(times[group[-1] + 1]), confidence))
        return words


class Seq2SeqRecogniser(Recogniser):
    """A model that writes token after token, always the most probable. Words are spread over the sound by their tokens.

    Args:
        model: as in `Recogniser`.
        tokenizer: as in `Recogniser`.
        extractor: as in `Recogniser`.
    """

    def _prepared(self, sounds: Sequence[Sound]) -> dict[str, Any]:
        return self._inputs(sounds)

    def _hear(self, sounds: Sequence[Sound], lengths: Sequence[int]) -> list[list[Word]]:
        from transformers import GenerationMixin

        inputs = self._prepared(sounds)
        longest = (
            getattr(self._model.config, "max_target_positions", None) or self._model.config.max_position_embeddings
        )
        most = min(round(TOKENS + TOKENS_A_SECOND * len(sounds[0]) / RATE), longest - TOKENS)
        # Whisper's own `generate` is for films of 30 s and more, and keeps its prompt to itself.
        ids = GenerationMixin.generate(
            self._model, **inputs, do_sample=False, num_beams=1, max_length=None, max_new_tokens=most
        )
        begun = inputs["decoder_input_ids"].shape[1] if "decoder_input_ids" in inputs else 1
        for row in ids:
            row[begun + loop_end(row[begun:].tolist()) :] = self._model.generation_config.eos_token_id
        inputs["decoder_input_ids"] = ids
        answer = self._model(**inputs, output_attentions=self._aligned)
        logs = answer.logits[:, :-1].float().log_softmax(dim=2).gather(2, ids[:, 1:, None])[:, :, 0].double()
        rows = []
        for number, length in enumerate(lengths):
            own = ids[number].tolist()
            places = [place for place, token in enumerate(own) if place and token not in self._special]
            times = self._times(answer, number, places, length) if places else np.zeros(1)
            chosen = logs[number].cpu().numpy()[[place - 1 for place in places]]
            rows.append(self._words([own[place] for place in places], times, chosen))
        return rows

    _aligned = False

    @cached_property
    def _special(self) -> set[int]:
        return set(self._tokenizer.all_special_ids)

    def _times(self, answer: Any, number: int, places: Sequence[int], length: int) -> NDArray[np.float64]:
        """When the tokens at t places of a row begin and the last ends, in seconds, shape (t + 1,)."""
        return np.linspace(0, length / RATE, len(places) + 1)


def loop_end(tokens: Sequence[int]) -> int:
    """How many of the tokens come before a phrase is said again and again; all where none is."""
    for start in range(len(tokens)):
        for size in range(LEAST_LOOP, (len(tokens) - start) // LOOPS + 1):
            phrase = tokens[start : start + size]
            if list(tokens[start : start + LOOPS * size]) == list(phrase) * LOOPS:
                return len(tokens) if len(set(phrase)) == 1 else start + size
    return len(tokens)


class WhisperRecogniser(Seq2SeqRecogniser):
    """Whisper, on sounds as long as they are; words have the times at which its decoder looked.

    The encoder is not shown the rest of 30 s, which costs ten times what the sound costs. The decoder is shown what the
    encoder makes of 30 s of silence instead, made once: without it, it says short sounds again and again.

    Args:
        model: as in `Recogniser`.
        tokenizer: as in `Recogniser`.
        extractor: as in `Recogniser`.
        language: that is spoken; None where the model finds it, or knows one only.

    Raises:
        EncoderError: the model doesn't know the language.
    """

    _aligned = True

    def __init__(self, model: Any, tokenizer: Any, extractor: Any, language: str | None) -> None:
        super().__init__(model, tokenizer, extractor)
        self._config = model.generation_config
        self._languages: dict[str, int] = getattr(self._config, "lang_to_id", None) or {}
        self._language = None if language is None else self._token(language)
        # Where the model doesn't say which heads follow the sound, those of the upper half of its layers.
        layers, heads = model.config.decoder_layers, model.config.decoder_attention_heads
        upper = [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)]
        self._heads = getattr(self._config, "alignment_heads", None) or upper

    def _token(self, language: str) -> int:
        from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

        code = TO_LANGUAGE_CODE.get(language.lower(), language.lower())
        if not self._languages and code == "en":
            return 0  # which is not asked for
        if f"<|{code}|>" not in self._languages:
            choices = ", ".join(sorted(name.strip("<|>") for name in self._languages)) or "en"
            raise EncoderError(f"text.language is {language!r}, but the recogniser knows {choices}; set it to null")
        return self._languages[f"<|{code}|>"]

    @cached_property
    def _special(self) -> set[int]:
        # The tokens of languages and tasks, which not every tokenizer calls special.
        return {
            *self._tokenizer.all_special_ids,
            *range(self._model.config.decoder_start_token_id, len(self._tokenizer)),
        }

    @cached_property
    def _silence(self) -> Tensor:
        """What the encoder makes of 30 s of silence, shape (1, positions, width)."""
        return self._encoded([np.zeros(self._model.config.max_source_positions * SAMPLES_A_POSITION, np.float32)])

    def _encoded(self, sounds: Sequence[Sound]) -> Tensor:
        features = self._extractor(list(sounds), sampling_rate=RATE, return_tensors="pt", padding=False)
        given = features["input_features"].to(self._model.device, self._model.dtype)
        states: Tensor = whisper_states(self._model.get_encoder(), given).last_hidden_state
        return states

    def _prepared(self, sounds: Sequence[Sound]) -> dict[str, Any]:
        from transformers.modeling_outputs import BaseModelOutput

        states = self._encoded(sounds)
        silence = self._silence[:, states.shape[1] :].expand(len(sounds), -1, -1)
        encoded = BaseModelOutput(torch.cat([states, silence], dim=1))
        ids = torch.full((len(sounds), 1), self._model.config.decoder_start_token_id, device=states.device)
        if self._languages:
            chosen = self._language or self._model.detect_language(encoder_outputs=encoded)
            task = self._config.task_to_id["transcribe"]
            both = torch.stack(
                [torch.as_tensor(part, device=ids.device).expand(len(ids)) for part in (chosen, task)], 1
            )
            ids = torch.cat([ids, both], dim=1)
        prompt = functional.pad(ids, (0, 1), value=self._config.no_timestamps_token_id)
        return {"encoder_outputs": encoded, "decoder_input_ids": prompt}

    def _times(self, answer: Any, number: int, places: Sequence[int], length: int) -> NDArray[np.float64]:
        # What is written at a place was looked up at the place before; the last one looks for the end.
        looked, positions = [places[0] - 1, *places], max(1, length // SAMPLES_A_POSITION)
        attention = torch.stack([answer.cross_attentions[layer][number, head] for layer, head in self._heads])
        costs = alignment_costs(attention[:, looked, :positions].float().cpu().numpy())
        return np.minimum(token_starts(costs) * SAMPLES_A_POSITION, length) / RATE


class CtcRecogniser(Recogniser):
    """A model that gives each frame a letter, a part of a word, or none: words are where their letters are."""

    def _hear(self, sounds: Sequence[Sound], lengths: Sequence[int]) -> list[list[Word]]:
        answer = self._model(**self._inputs(sounds)).logits.float().log_softmax(dim=2)
        best, ids = (part.cpu().numpy() for part in answer.max(dim=2))
        frame = len(sounds[0]) / RATE / ids.shape[1]  # seconds
        return [self._collapse(row, logs, frame) for row, logs in zip(ids, best, strict=True)]

    def _collapse(self, ids: NDArray[np.int64], logs: NDArray[np.float32], frame: float) -> list[Word]:
        tokenizer = self._tokenizer
        between = getattr(tokenizer, "word_delimiter_token", None)
        words: list[tuple[list[int], float, float, list[float]]] = []
        fresh, place = True, 0
        for token, run in groupby(ids.tolist()):
            count = len(list(run))
            start, place = place, place + count
            if token == tokenizer.pad_token_id:
                continue
            sign = tokenizer.convert_ids_to_tokens(token)
            if sign == between:
                fresh = True
                continue
            if fresh or sign.startswith(WORD_MARKS):
                words.append(([], start * frame, 0.0, []))
            letters, begun, _, seen = words[-1]
            words[-1] = ([*letters, token], begun, place * frame, [*seen, *logs[start:place].tolist()])
            fresh = False
        result = []
        for letters, begun, ended, seen in words:
            signs = "".join(tokenizer.convert_ids_to_tokens(letters))
            text = "".join(sign for sign in signs if sign not in WORD_MARKS)
            # Capitals alone say nothing here, and would read as shouting.
            result.append(Word(text.lower() if text.isupper() else text, begun, ended, float(np.exp(np.mean(seen)))))
        return [word for word in result if word.text and " " not in word.text]


def load_recogniser(name: str, language: str | None, device: str) -> Recogniser:
    """Load a recogniser.

    Args:
        name: `embedded`, a local folder, or a name on the model hub.
        language: that is spoken, such as `en`; None where the model finds it, or knows one only.
        device: `cpu` or `cuda`.

    Raises:
        EncoderError: there is no such model, it can't be loaded or run, or it doesn't know the language.
    """
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar, set_verbosity_error

    disable_progress_bar()
    set_verbosity_error()  # it warns of what is wanted here: one token ends a text and fills it up
    kind: type[Recogniser] = Seq2SeqRecogniser
    if name == EMBEDDED:
        model, tokenizer, extractor = packaged_whisper()
    else:
        with loading("text.recogniser", name, f"{EMBEDDED!r}, "):
            config = AutoConfig.from_pretrained(name)
            if any(architecture.endswith("ForCTC") for architecture in config.architectures or ()):
                kind = CtcRecogniser
            # Weights are read from safetensors alone: a pickle would run code of whoever made it. Eager attention shows
            # where Whisper looks.
            options = {"attn_implementation": "eager"} if config.model_type == "whisper" else {}
            auto = AutoModelForCTC if kind is CtcRecogniser else AutoModelForSpeechSeq2Seq
            model = auto.from_pretrained(name, use_safetensors=True, **options).eval()
            tokenizer, extractor = (part.from_pretrained(name) for part in (AutoTokenizer, AutoFeatureExtractor))
    model = through_onednn(model.to(device))
    if model.config.model_type == "whisper":
        recogniser: Recogniser = WhisperRecogniser(model, tokenizer, extractor, language)
    elif language is not None:
        raise EncoderError(f"text.language is {language!r}, but {name!r} can't be told one; set it to null")
    else:
        recogniser = kind(model, tokenizer, extractor)
    _prove(recogniser, name)
    return recogniser


def _prove(recogniser: Recogniser, name: str) -> None:
    """Run it once: what fails now is no clip's fault."""
    try:
        recogniser.recognise([np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32)])
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(
            f"text.recogniser {name!r} can't be run: {problem}; expected a model for speech recognition"
        ) from error
