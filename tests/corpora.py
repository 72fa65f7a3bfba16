"""Trees named as the corpora's are, with made clips: a tone a label."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import soundfile

EMOTIONS = ("anger", "joy")  # that every corpus has: a low and a high tone


def tone(path: Path, label: str, seed: int) -> None:
    """Half a second of sound whose pitch tells the label, a little different each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(8000) / 16000
    pitch = (150 if label == EMOTIONS[0] else 400) + seed % 23
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * time), 16000, format="WAV")


def ravdess(root: Path, actors: int = 8) -> None:
    codes = {"anger": "05", "joy": "03"}
    for actor, label, intensity, sentence in product(range(1, actors + 1), EMOTIONS, ("01", "02"), ("01", "02")):
        name = f"03-01-{codes[label]}-{intensity}-{sentence}-01-{actor:02}.wav"
        tone(root / f"Actor_{actor:02}" / name, label, actor)


def crema_d(root: Path, actors: int = 8) -> None:
    codes = {"anger": "ANG", "joy": "HAP"}
    for actor, label, sentence in product(range(1001, 1001 + actors), EMOTIONS, ("IEO", "TIE", "IOM")):
        level = "HI" if sentence == "IEO" else "XX"
        tone(root / "AudioWAV" / f"{actor}_{sentence}_{codes[label]}_{level}.wav", label, actor)


def emodb(root: Path, actors: int = 8) -> None:
    codes = {"anger": "W", "joy": "F"}
    speakers = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")[-actors:]
    for speaker, label, sentence in product(speakers, EMOTIONS, ("a01", "a02", "b10")):
        tone(root / "wav" / f"{speaker}{sentence}{codes[label]}a.wav", label, int(speaker))


def savee(root: Path, actors: int = 4) -> None:
    codes = {"anger": "a", "joy": "h"}
    for speaker, label, sentence in product(("DC", "JE", "JK", "KL")[:actors], EMOTIONS, range(1, 7)):
        tone(root / "AudioData" / speaker / f"{codes[label]}{sentence:02}.wav", label, sentence + ord(speaker[0]))


def tess(root: Path, actors: int = 2) -> None:
    codes = {"anger": "angry", "joy": "happy"}
    words = ("back", "bar", "base", "bath", "bean", "beg", "bite", "boat", "bone", "book")
    for speaker, label, word in product(("OAF", "YAF")[:actors], EMOTIONS, words):
        name = f"{speaker}_{word}_{codes[label]}.wav"
        tone(root / f"{speaker}_{codes[label]}" / name, label, len(name) + ord(word[-1]))


def iemocap(root: Path, actors: int = 10) -> None:
    codes = ("ang", "exc", "ang", "hap", "xxx", "fru")
    labels = ("anger", "joy", "anger", "joy", "anger", "joy")
    for session, play in product(range(1, actors // 2 + 1), ("impro01", "script01_1", "impro02")):
        dialogue, folder = f"Ses0{session}F_{play}", root / f"Session{session}"
        turns, words = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], []
        for number, (code, label) in enumerate(zip(codes, labels, strict=True)):
            name = f"{dialogue}_{'FM'[number % 2]}{number // 2:03}"
            start, end = 2.0 * number, 2.0 * number + 1.5
            turns += [f"[{start:.4f} - {end:.4f}]\t{name}\t{code}\t[2.5000, 2.5000, 2.5000]", "C-E2:\tOther;\t()"]
            words.append(f"{name} [{start:08.4f}-{end:08.4f}]: Excuse me, {label}.")
            tone(folder / "sentences/wav" / dialogue / f"{name}.wav", label, session + number)
        for place, lines in (("EmoEvaluation", turns[:2] + turns[:1:-1]), ("transcriptions", words)):
            path = folder / "dialog" / place / f"{dialogue}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join([*lines, ""]))


def emorynlp(root: Path, actors: int = 3) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for split, scenes in (("trn", 8), ("dev", 2), ("tst", 2)):
        episodes = [{"episode_id": f"{split}_e01", "scenes": [_scene(split, n, actors) for n in range(scenes)]}]
        (root / f"emotion-detection-{split}.json").write_text(json.dumps({"season_id": "s01", "episodes": episodes}))


def _scene(split: str, number: int, actors: int) -> dict[str, object]:
    moods = (("Mad", "Stop it at once!"), ("Joyful", "That is so lovely!"))
    lines = [
        {
            "utterance_id": f"{split}_e01_c{number:02}_u{line:03}",
            "speakers": [f"Speaker {line % actors}"],
            "transcript": f"{moods[line % 2][1]} {'No, yes.' if number % 2 else 'Well.'}",
            "emotion": moods[line % 2][0],
        }
        for line in range(1, 5)
    ]
    return {"scene_id": f"{split}_e01_c{number:02}", "utterances": lines}


def folders(root: Path, actors: int = 24) -> None:
    for label, number in product(EMOTIONS, range(actors)):
        tone(root / label / f"{number}.wav", label, number)


MAKERS: dict[str, Callable[[Path], None]] = {
    "ravdess": ravdess,
    "crema_d": crema_d,
    "emodb": emodb,
    "savee": savee,
    "tess": tess,
    "iemocap": iemocap,
    "iemocap_six": iemocap,
    "emorynlp": emorynlp,
    "folders": folders,
}
