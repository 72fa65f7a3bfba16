"""Audio features: the spectrum of a sound, its pitch, its voice and its rate, and what an encoder makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import AudioParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Extracted, Utterance
from emofuse.extraction.clips import clip_of
from emofuse.features.audio.groups import GROUPS
from emofuse.features.audio.sound import FRAME_SECONDS, Sound
from emofuse.features.contract import FeatureGroup

Array = NDArray[np.float32]
WINDOW = 64  # utterances whose sounds are held at a time, for batches of about the same length
EDGE = 0.01  # seconds at both ends in which a resampler rings
FAINTEST = 1e-3  # root mean square of full scale, in the loudest frame, under which a sound track holds nothing
FAINT = 1e-2  # the same of a sound that is hiss if it also goes on alike
EVEN = 2.0  # times the level of its faint frames that the loudest of a hiss reaches; speech reaches five times


def audio_groups(params: AudioParams, assets: Path | None = None) -> tuple[FeatureGroup, ...]:
    """The chosen groups and the encoder's, in the order of the columns.

    Raises:
        EncoderError: there is no such encoder or layer.
    """
    groups = tuple(GROUPS[name].describe(name, params) for name in params.groups)
    if params.encoder == "none":  # torch takes seconds to load
        return groups
    from emofuse.features.audio.encoder import sound_groups

    return (*groups, *sound_groups(params, assets))


class AudioExtractor:
    """The chosen groups of the sound track, NaN for the pitch of a sound without a voice, and the encoder's.

    Args:
        params: which they are.
        assets: folder of a bundle that may hold weights which packages hold otherwise.
    """

    def __init__(self, params: AudioParams, assets: Path | None = None) -> None:
        self.params, self._assets = params, assets
        self.names: tuple[str, ...] = tuple(name for group in audio_groups(params, assets) for name in group.columns)

    def warm_up(self) -> None:
        """Make what is made once, such as the filters."""
        rate = self.params.sample_rate
        audio_features(np.sin(2 * np.pi * 200 * np.arange(rate) / rate).astype(np.float32), self.params, self._assets)

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance, or the reason why there are none; sounds are encoded together."""
        size = 1 if self.params.encoder == "none" else WINDOW
        for start in range(0, len(utterances), size):
            yield from self._together([self._opened(utterance) for utterance in utterances[start : start + size]])

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered."""
        yield from enumerate(self.extract(utterances))

    def _opened(self, utterance: Utterance) -> tuple[Extracted, Array | None]:
        """The features that need no encoder, and the samples that it is given."""
        with clip_of(utterance) as clip:
            if clip is None:
                return Extracted(None, utterance.clip_reason), None
            try:
                samples = clip.sound(self.params.sample_rate)
                if is_silent(samples, self.params.sample_rate):
                    return Extracted(None, Cause(Reason.SILENT)), None
                values = audio_features(samples, self.params, self._assets)
                given = self._given(clip, samples)
            except MediaError as error:
                return Extracted(None, error.cause), None
            return Extracted(values, clip.damage.get("sound")), given

    def _given(self, clip: Clip, samples: Array) -> Array | None:
        if self.params.encoder == "none":
            return None
        from emofuse.features.audio.encoder import sound_encoder

        rate = sound_encoder(self.params.encoder, self.params.precision, self._assets).rate
        return samples if rate == self.params.sample_rate else clip.sound(rate)

    def _together(self, opened: Sequence[tuple[Extracted, Array | None]]) -> Iterator[Extracted]:
        """Rows with what the encoder makes of their samples."""
        sounds = [samples for _, samples in opened if samples is not None]
        if not sounds:
            yield from (row for row, _ in opened)
            return
        from emofuse.features.audio.encoder import encoded_sounds

        vectors = iter(encoded_sounds(sounds, self.params, self._assets))
        for row, _ in opened:
            yield row if row.values is None else replace(row, values=np.concatenate([row.values, next(vectors)]))


def is_silent(samples: NDArray[np.float32], rate: int) -> bool:
    """Whether a sound holds nothing: silence, a constant, or the hiss of a few bits.

    Args:
        samples: mono, shape (samples,), in [-1, 1].
        rate: in Hz.
    """
    edge, size = round(EDGE * rate), round(FRAME_SECONDS * rate)
    inner = samples[edge:-edge] if len(samples) > size + 2 * edge else samples
    count = max(1, len(inner) // size)
    frames = inner[: count * size].reshape(count, -1).astype(np.float64)
    levels = frames.std(axis=1)  # without a constant
    loudest = levels.max()
    return bool(loudest < FAINTEST or (loudest < FAINT and loudest < EVEN * np.percentile(levels, 10)))


def audio_features(samples: Array, params: AudioParams, assets: Path | None = None) -> Array:
    """Features of a sound, without the encoder's.

    Args:
        samples: mono, shape (samples,), in [-1, 1], at `params.sample_rate`.
        params: which features.
        assets: folder of a bundle that may hold weights which packages hold otherwise.

    Returns:
        float32 of shape (d,), in the order of `AudioExtractor.names`.
    """
    sound = Sound(samples, params.sample_rate, params.n_mfcc, assets)
    return np.concatenate([np.zeros(0, np.float32), *(GROUPS[name].values(sound) for name in params.groups)])
