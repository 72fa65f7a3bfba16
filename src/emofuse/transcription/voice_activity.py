"""Where there is speech in a sound: Silero VAD 6, its published network with its published weights.

Source: Silero Team, https://github.com/snakers4/silero-vad (MIT). The weights come in the data package `silero-vad`,
which is read and not imported; a test holds the probabilities and the spans to those of its own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from emofuse.core.params import ACTIVITY_RATE
from emofuse.core.weights import SILERO

RATE = ACTIVITY_RATE
STEP = 512  # samples that a probability is for
CONTEXT = 64  # samples before them that are looked at too
BINS = 129  # frequencies of the network's own Fourier transform
AT_ONCE = 4096  # steps: two minutes, so that memory stays flat in a long film
STEP_SECONDS = STEP / RATE
# As in the reference: speech begins above the first probability and ends below the second.
BEGINS, ENDS = 0.5, 0.35
LEAST_SPEECH, LEAST_SILENCE, MARGIN = 0.25, 0.1, 0.03  # seconds


@dataclass(frozen=True)
class SpeechSpan:
    """A part of a sound with speech, in seconds from its start."""

    start: float
    end: float


class SileroNetwork(nn.Module):
    """The network at 16 kHz: a Fourier transform as a convolution, four convolutions, an LSTM and a logit."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 2 * BINS, 256, stride=128, bias=False)
        self.conv1 = nn.Conv1d(BINS, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)

    def forward(self, steps: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Probabilities of speech.

        Args:
            steps: samples of n steps in a row, each after its context, shape (n, CONTEXT + STEP).
            state: of the LSTM after the steps before; None at the start.

        Returns:
            Shape (n,), and the state after them.
        """
        transform = self.stft_conv(functional.pad(steps, (0, CONTEXT), mode="reflect")[:, None])
        hidden = (transform[:, :BINS].square() + transform[:, BINS:].square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            hidden = layer(hidden).relu()
        outputs = []
        for row in hidden.squeeze(2).split(1):  # what is before decides, so that one comes after the other
            state = self.lstm_cell(row, state)
            outputs.append(state[0])
        assert state is not None
        return self.final_conv(torch.cat(outputs).relu()[:, :, None]).sigmoid().flatten(), state


@cache
def load_network(assets: Path | None = None) -> SileroNetwork:
    """The network with its weights.

    Args:
        assets: folder of a bundle that may hold the weights which the package holds otherwise.

    Raises:
        EncoderError: the package is not installed, or its weights are not the published ones.
    """
    network = SileroNetwork()
    network.load_state_dict(load_file(SILERO.path(assets)))
    return network.eval()


@torch.inference_mode()
def speech_probabilities(samples: NDArray[np.float32], assets: Path | None = None) -> NDArray[np.float32]:
    """How probable speech is in each step of `STEP_SECONDS`.

    Args:
        samples: mono at `RATE`, shape (samples,), in [-1, 1].
        assets: as in `load_network`.

    Returns:
        float32 of shape (n,), n = samples / STEP rounded up.

    Raises:
        EncoderError: as `load_network`.
    """
    network, state = load_network(assets), None
    count = -(-len(samples) // STEP)
    padded = functional.pad(torch.from_numpy(samples), (CONTEXT, count * STEP - len(samples)))
    parts = [torch.zeros(0)]
    for start in range(0, count, AT_ONCE):
        end = min(start + AT_ONCE, count)
        steps = padded[start * STEP : end * STEP + CONTEXT].unfold(0, CONTEXT + STEP, STEP)
        part, state = network(steps, state)
        parts.append(part)
    probabilities: NDArray[np.float32] = torch.cat(parts).numpy()
    return probabilities


def speech_spans(samples: NDArray[np.float32]) -> list[SpeechSpan]:
    """The parts of a sound with speech, by start.

    Pauses shorter than `LEAST_SILENCE` are part of them, what is shorter than `LEAST_SPEECH` is none, and `MARGIN` is
    left on each side.

    Args:
        samples: mono at `RATE`, shape (samples,), in [-1, 1].

    Raises:
        EncoderError: as `load_network`.
    """
    length = len(samples)
    margin = round(MARGIN * RATE)
    parts = [
        (start, min(end, length))
        for start, end in _runs(speech_probabilities(samples))
        if min(end, length) - start > LEAST_SPEECH * RATE
    ]
    spans = []
    for number, (start, end) in enumerate(parts):
        before = parts[number - 1][1] if number else None
        after = parts[number + 1][0] if number + 1 < len(parts) else None
        first = max(0, start - (margin if before is None else min(margin, (start - before) // 2)))
        last = min(length, end + (margin if after is None else min(margin, (after - end) // 2)))
        spans.append(SpeechSpan(first / RATE, last / RATE))
    return spans


def _runs(probabilities: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """First sample of each run of speech and the one after its last; the last run may go beyond the sound's end."""
    start = end = None  # of the run; its end while it may yet go on
    for number, probability in enumerate(probabilities):
        now = number * STEP
        if probability >= BEGINS:
            start, end = now if start is None else start, None
        elif start is not None and probability < ENDS:
            end = now if end is None else end
            if now - end >= LEAST_SILENCE * RATE:
                yield start, end
                start = end = None
    if start is not None:
        yield start, len(probabilities) * STEP
