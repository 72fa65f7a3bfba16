"""The plan of the corpus: who says what in which mood, and which channel tells the truth.

Everything that depends on neighbours is decided here, in one process, from the seed. What is left for each clip (sound
and pictures) depends on its own `Line` alone, so that clips can be made in any order by any number of processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from demo_corpus.cast import CAST
from demo_corpus.script import draw_line
from emofuse.core.errors import ParamsError

# Shares of the labels in MELD's training split, rounded.
SHARES = {"neutral": 0.47, "joy": 0.17, "surprise": 0.12, "anger": 0.11, "sadness": 0.07, "disgust": 0.03, "fear": 0.03}
SPLITS = {"train": 0.60, "dev": 0.17, "test": 0.23}
# A label with fewer training rows than this can't be learned or cross-validated: a tiny corpus leaves it out.
LEAST_TRAIN_ROWS = 3

# How likely the next line is to take up an emotion, by the emotion of the line before it (1 where not named).
ANSWERS = {
    "neutral": {"neutral": 1.6},
    "joy": {"joy": 3.5, "surprise": 1.5},
    "surprise": {"surprise": 2.5, "joy": 2.5},
    "anger": {"anger": 4.0, "sadness": 1.8, "disgust": 1.5},
    "sadness": {"sadness": 4.0, "anger": 1.3},
    "disgust": {"disgust": 4.0, "anger": 2.0},
    "fear": {"fear": 4.0, "surprise": 2.0},
}


@dataclass(frozen=True)
class Channel:
    """How far one channel can be trusted: shares of lines where it shows the label, and where it shows neutral.

    In the remaining lines it misleads: it shows an emotion that is neither the label nor neutral.
    """

    true: float
    neutral: float


CHANNELS = {"text": Channel(0.67, 0.10), "voice": Channel(0.63, 0.12), "face": Channel(0.63, 0.12)}

# Shares of lines with each flaw of real recordings. `least` lines have it in every split of at least 12 lines.
FLAWS = {"no_face": 0.025, "no_sound": 0.02, "truncated": 0.005, "missing": 0.005, "no_text": 0.015}
FLAW_LEAST_ROWS = 12


@dataclass(frozen=True)
class Line:
    """One utterance as planned. `text`, `voice` and `face` are what each channel shows; `emotion` is the label."""

    split: str
    dialogue: int
    utterance: int
    relative: float
    speaker: int
    emotion: str
    text: str
    spoken: str
    voice: str
    face: str
    flaw: str | None

    def rng(self, seed: int, stream: int) -> np.random.Generator:
        """Random numbers of this line alone; `stream` keeps sound and pictures apart."""
        return np.random.default_rng([seed, list(SPLITS).index(self.split), self.dialogue, self.utterance, stream])


def plan_corpus(dialogues: int, utterances: int, seed: int) -> list[Line]:
    """Plan all lines of all splits, in the order of the tables.

    Raises:
        ParamsError: too few dialogues for three splits, or fewer utterances than two a dialogue.
    """
    if dialogues < len(SPLITS) or utterances < 2 * dialogues:
        raise ParamsError(
            f"corpus: found {dialogues} dialogues and {utterances} utterances; expected at least {len(SPLITS)} "
            f"dialogues and two utterances for each; raise corpus.dialogues or corpus.utterances"
        )
    sizes = quotas(dialogues, SPLITS, least=1)
    rows = quotas(utterances, {split: float(size) for split, size in sizes.items()}, least=2)
    labels = _learnable(rows["train"])
    used: set[str] = set()
    lines: list[Line] = []
    for index, split in enumerate(SPLITS):
        rng = np.random.default_rng([seed, index])
        lines += _plan_split(split, sizes[split], rows[split], labels, rng, used)
    return lines


def quotas(total: int, shares: dict[str, float], least: int) -> dict[str, int]:
    """Divide `total` by shares to whole numbers of at least `least` where `total` allows (largest remainders)."""
    least = min(least, total // len(shares))
    rest = total - least * len(shares)
    scale = sum(shares.values())
    # The guaranteed part counts towards a share: without this, the rare ones would be over-served.
    wanted = {key: max(share / scale * total - least, 0.0) for key, share in shares.items()}
    exact = {key: value / sum(wanted.values()) * rest if rest else 0.0 for key, value in wanted.items()}
    counts = {key: int(value) for key, value in exact.items()}
    by_remainder = sorted(shares, key=lambda key: counts[key] - exact[key])
    for key in by_remainder[: rest - sum(counts.values())]:
        counts[key] += 1
    return {key: least + count for key, count in counts.items()}


def _learnable(train_rows: int) -> dict[str, float]:
    count = min(len(SHARES), max(2, train_rows // LEAST_TRAIN_ROWS))
    return dict(list(SHARES.items())[:count])


def _plan_split(
    split: str, dialogues: int, rows: int, labels: dict[str, float], rng: np.random.Generator, used: set[str]
) -> list[Line]:
    left = quotas(rows, labels, least=LEAST_TRAIN_ROWS if split == "train" else 1)
    lengths = 2 + rng.multinomial(rows - 2 * dialogues, rng.dirichlet(np.full(dialogues, 4.0)))
    lines: list[Line] = []
    for dialogue, length in enumerate(lengths):
        speakers = rng.choice(len(CAST), size=int(rng.integers(2, 4)), replace=False)
        before: str | None = None
        turn = 0
        for utterance in range(length):
            relative = utterance / max(length - 1, 1)
            emotion = _draw_emotion(left, before, relative, rng)
            left[emotion] -= 1
            # Mostly the turn passes on; now and then a speaker goes on speaking.
            turn += int(rng.integers(1, len(speakers))) if rng.random() < 0.85 else 0
            speaker = int(speakers[turn % len(speakers)])
            lines.append(Line(split, dialogue, utterance, relative, speaker, emotion, "", "", "", "", None))
            before = emotion
    shown = {channel: _draw_shown([line.emotion for line in lines], channel, list(labels), rng) for channel in CHANNELS}
    flaws = _draw_flaws(rows, rng)
    for index, line in enumerate(lines):
        spoken = draw_line(shown["text"][index], rng, used)
        text = "" if flaws[index] == "no_text" else spoken
        voice, face = shown["voice"][index], shown["face"][index]
        lines[index] = replace(line, text=text, spoken=spoken, voice=voice, face=face, flaw=flaws[index])
    return lines


def _draw_emotion(left: dict[str, int], before: str | None, relative: float, rng: np.random.Generator) -> str:
    weights = np.array([count * ANSWERS.get(before or "", {}).get(emotion, 1.0) for emotion, count in left.items()])
    # The place in the dialogue tells a little: surprises open it, sadness closes it.
    lean = {"surprise": 1.6 - 1.2 * relative, "sadness": 0.4 + 1.2 * relative}
    weights *= np.array([lean.get(emotion, 1.0) for emotion in left])
    return str(rng.choice(list(left), p=weights / weights.sum()))


def _draw_shown(emotions: list[str], channel: str, labels: list[str], rng: np.random.Generator) -> list[str]:
    trust = CHANNELS[channel]
    # Evenly spread draws hold the shares in every split; plain draws would vary by several points in a small one.
    draws = (rng.permutation(len(emotions)) + rng.random(len(emotions))) / len(emotions)
    shown = []
    for emotion, draw in zip(emotions, draws, strict=True):
        others = [label for label in labels if label not in (emotion, "neutral")]
        if draw < trust.true:
            shown.append(emotion)
        elif draw < trust.true + trust.neutral or not others:
            shown.append("neutral")
        else:
            shown.append(others[rng.integers(len(others))])
    return shown


def _draw_flaws(rows: int, rng: np.random.Generator) -> list[str | None]:
    flaws: list[str | None] = []
    for flaw, share in FLAWS.items():
        flaws += [flaw] * max(round(share * rows), 1 if rows >= FLAW_LEAST_ROWS else 0)
    flaws += [None] * (rows - len(flaws))
    return [flaws[index] for index in rng.permutation(rows)]
