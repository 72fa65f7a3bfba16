"""Audio features against decoding alone, and against librosa on wav files that a process a clip writes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import librosa

from benchmarks.timing import Figure, seconds, spent
from emofuse.core.params import AudioParams
from emofuse.core.records import Utterance
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.audio.sound import F0_RANGE
from emofuse.media.clip import FileClip

ROUNDS = 5

# What an ffmpeg command a clip does; ffmpeg itself is no dependency.
WRITE = """
import sys, av
with av.open(sys.argv[1]) as clip, av.open(sys.argv[2], "w") as wav:
    out = wav.add_stream("pcm_s16le", rate=int(sys.argv[3]), layout="mono")
    for frame in clip.decode(audio=0):
        wav.mux(out.encode(frame))
    wav.mux(out.encode())
"""


def plain(clip: Path, params: AudioParams, folder: Path) -> None:
    """A process writes a wav file; librosa reads it and makes each feature from the samples anew."""
    wav, rate = folder / "clip.wav", params.sample_rate
    subprocess.run([sys.executable, "-c", WRITE, str(clip), str(wav), str(rate)], check=True)
    samples, _ = librosa.load(wav, sr=rate)
    librosa.feature.zero_crossing_rate(samples)
    librosa.feature.spectral_centroid(y=samples, sr=rate)
    librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=params.n_mfcc)
    librosa.feature.rms(y=samples)
    fmin, fmax = F0_RANGE
    librosa.yin(samples, fmin=fmin, fmax=fmax, sr=rate)


def measure(clips: list[Path], params: AudioParams) -> list[Figure]:
    """The figures of audio features over clips with sound, in one thread."""
    extractor = AudioExtractor(params)
    extractor.warm_up()
    with tempfile.TemporaryDirectory() as name:
        plain(clips[0], params, Path(name))
        floor = ours = slow = 0.0
        for _ in range(ROUNDS):  # in turn, so that what disturbs the machine disturbs all three
            floor += sum(seconds(partial(FileClip(clip).sound, params.sample_rate)) for clip in clips)
            ours += spent(extractor.extract([Utterance(clip=clip) for clip in clips]))
            slow += sum(seconds(partial(plain, clip, params, Path(name))) for clip in clips)
    each = f"{ours:.2f} s here, {floor:.2f} s for decoding alone, {slow:.2f} s by librosa"
    times = f"{each}, {len(clips)} clips {ROUNDS} times"
    return [
        Figure("audio: time against decoding and resampling alone", ours / floor, "at most 3", times),
        Figure("audio: times faster than librosa on wav files", slow / ours, "at least 5", times),
    ]
