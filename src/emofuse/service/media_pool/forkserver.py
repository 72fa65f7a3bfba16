"""The processes that open uploads, seen from inside.

The fork server loads the extractors and warms them up, which takes seconds, and then forks a worker whenever the
service asks for one, which takes milliseconds. It never opens an upload itself and holds a single thread, so that
forking is safe. A worker answers jobs, a line of JSON each: nothing of it is unpickled, so that a decoder taken over by
a hostile clip can't take over the service.

The standard library's forkserver was tried in its place (Python 3.11) and can't do this. It preloads modules by name,
so that it can't be told which extractors to warm up, and passes over one that fails in silence. Each worker inherits
the end of the pipe by which the server knows that the service still runs: after `kill -9` of the service, a worker
that hangs keeps both of them running for good. It inherits the service's environment too, with its keys. There is one
server a process, which starts anew no sooner than the next worker is asked for; and a fork takes 31 ms with it, 24 ms
here.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Reason
from emofuse.core.records import Clip, Utterance
from emofuse.extraction.start import one_thread
from emofuse.features.contract import Extractor
from emofuse.features.registry import make_extractor
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.features.visual.face_tracks import Person, Sighting
from emofuse.media.clip import FileClip, MemoryClip
from emofuse.media.limits import Bounds, check_clip
from emofuse.media.pictures import gray_picture
from emofuse.media.windows import cut_windows, even_spans
from emofuse.service.clock import timed
from emofuse.service.media_pool.protocol import (
    DONE,
    HEARD,
    KILL,
    NEXT,
    PIECE,
    READY,
    SETUP,
    WORK,
    Cut,
    Done,
    ExtractJob,
    Hear,
    HeardWords,
    MemoryJob,
    PackedClip,
    Piece,
    Setup,
)
from emofuse.service.schemas import MOST_FACES, Face, SeenPerson

if TYPE_CHECKING:
    from emofuse.service.media_pool.listening import Ears

LATE = 2  # times the time of a job: then a worker that nobody has ended ends itself


def main(control: socket.socket) -> None:
    """Warm up, say so, and fork or kill workers as asked, until the service is gone."""
    one_thread()
    with control.makefile("rb") as lines:
        line = lines.readline()
    if not line:  # the service is gone already
        return
    setup = SETUP.validate_json(line)
    extractors = {modality: make_extractor(params, assets=setup.assets) for modality, params in setup.params().items()}
    for extractor in extractors.values():
        extractor.warm_up()
    ears = _ears(setup)
    gc.collect()
    gc.freeze()  # workers neither look through what is loaded for garbage, nor copy its memory by doing so
    children: set[int] = set()
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the service went before it had its answer
            control.sendall(READY)
            _serve(control, children, extractors, ears, setup)
    finally:
        _kill(children)


def _ears(setup: Setup) -> Ears | None:
    if setup.listener is None:
        return None
    from emofuse.service.media_pool.listening import load_ears  # with torch, which opening clips does without

    return load_ears(setup.listener)


def _hear(work: Hear, ears: Ears | None) -> HeardWords:
    from emofuse.service.media_pool.listening import hear_words

    assert ears is not None
    return hear_words(work, ears)


def _serve(
    control: socket.socket,
    children: set[int],
    extractors: Mapping[str, Extractor],
    ears: Ears | None,
    setup: Setup,
) -> None:
    """Fork or kill workers as asked, until the service closes the channel; `children` are those that may still run."""
    while True:
        asked, handles, _, _ = socket.recv_fds(control, 16, 1)
        # A child that ended keeps its number until it is collected here, so that none of another process is killed.
        children -= {child for child in children if os.waitpid(child, os.WNOHANG) != (0, 0)}
        if not asked:
            return
        if asked[:1] == KILL:
            _kill({int(asked[1:])} & children)
            control.sendall(READY)
            continue
        child = os.fork()
        if child == 0:
            control.close()
            _work(socket.socket(fileno=handles[0]), extractors, ears, setup)
        os.close(handles[0])
        children.add(child)
        control.sendall(f"{child}\n".encode())


def _kill(children: set[int]) -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)


def _work(channel: socket.socket, extractors: Mapping[str, Extractor], ears: Ears | None, setup: Setup) -> None:
    """Answer jobs until the service closes the channel; never returns."""
    try:
        _silence()
        _bound(setup.worker_mb)
        with channel.makefile("rb") as lines:
            while line := lines.readline():
                # The service kills a worker that hangs, but may not live to do so: then the worker ends by itself.
                signal.setitimer(signal.ITIMER_REAL, setup.job_seconds * LATE)
                work = WORK.validate_json(line)
                if not isinstance(work, Cut):
                    if isinstance(work, Hear):
                        answer = HEARD.dump_json(_hear(work, ears))
                    elif isinstance(work, ExtractJob):
                        answer = DONE.dump_json(_extract(work, extractors, setup.bounds))
                    else:
                        answer = DONE.dump_json(_extract_memory(work, lines.read(work.clip.size), extractors))
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    channel.sendall(answer + b"\n")
                    continue
                for piece, data in _cut(work, ears):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    channel.sendall(PIECE.dump_json(piece) + b"\n" + data)
                    if lines.readline() != NEXT:
                        return
                    signal.setitimer(signal.ITIMER_REAL, setup.job_seconds * LATE)
    finally:
        os._exit(0)


def _silence() -> None:
    """What decoders print may hold parts of an upload."""
    with Path(os.devnull).open("w") as nothing:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nothing.fileno(), stream.fileno())


def _bound(megabytes: int) -> None:
    """Let this process take so much memory beyond what it has, and write no larger files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * 2**20, megabytes * 2**20))
    status = Path("/proc/self/status")
    if status.exists():  # Linux; elsewhere the time bound alone holds a worker
        data = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmData"))
        limit = (data + megabytes * 1024) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _extract(job: ExtractJob, extractors: Mapping[str, Extractor], bounds: Bounds) -> Done:
    seconds: dict[str, float] = {}
    try:
        with timed(seconds, "check"):
            _check(job.files, bounds)
        clips = {name: FileClip(path) for name, path in job.files.items()}
        wanted = {modality: clips[source] if source else None for modality, source in job.modalities.items()}
        return _rows(job.utterance, wanted, extractors, seconds)
    except Exception as error:  # any library may be upset by a broken clip in its own way; the next clip is another
        return Done({}, seconds, _reason(error))


def _rows(
    utterance: Utterance,
    clips: Mapping[str, Clip | None],
    extractors: Mapping[str, Extractor],
    seconds: dict[str, float],
) -> Done:
    rows = {}
    crowd: list[SeenPerson] = []
    for modality, clip in clips.items():
        extractor = extractors[modality]
        with timed(seconds, modality):
            if isinstance(extractor, VisualExtractor) and clip is not None:
                row, _, people = extractor.watch(clip)
                crowd = _placed(people)
            else:
                (row,) = extractor.extract([replace(utterance, clip=clip)])
        rows[modality] = (None if row.values is None else row.values.tolist(), row.reason)
    return Done(rows, seconds, people=crowd)


def _reason(error: Exception) -> str:
    """Why a clip can't be used, for its sender."""
    if isinstance(error, MediaError):
        return str(error)
    if isinstance(error, MemoryError):
        return "takes too much memory to decode"
    return f"can't be decoded: {type(error).__name__}"


def _placed(people: Sequence[Person]) -> list[SeenPerson]:
    """Where everyone is, at `MOST_FACES` moments or fewer in all."""
    every = max(1, -(-sum(len(person.track) for person in people) // MOST_FACES))
    return [
        SeenPerson(
            speaker=person.speaker,
            speaks=round(person.speaks, 4),
            confidence=round(person.confidence, 4),
            faces=[_face(sighting) for sighting in person.track[::every]],
        )
        for person in people[:MOST_FACES]
    ]


def _face(sighting: Sighting) -> Face:
    left, top, width, height = (round(share, 4) for share in sighting.place)
    return Face(time=round(sighting.time, 3), left=left, top=top, width=width, height=height)


def _extract_memory(job: MemoryJob, data: bytes, extractors: Mapping[str, Extractor]) -> Done:
    seconds: dict[str, float] = {}
    try:
        with timed(seconds, "frames"):
            clip = _unpacked(job.clip, data, job.width)
        return _rows(job.utterance, dict.fromkeys(job.modalities, clip), extractors, seconds)
    except Exception as error:  # as in `_extract`
        return Done({}, seconds, _reason(error))


def _unpacked(clip: PackedClip, data: bytes, most_width: int) -> MemoryClip:
    shots, at = [], 0
    for time, height, width in clip.pictures:
        part = data[at : at + max(height, 1) * width]
        at += len(part)
        picture = np.frombuffer(part, np.uint8).reshape(height, width) if height else gray_picture(part, most_width)
        shots.append((time, picture))
    return MemoryClip(shots, np.frombuffer(data, "<i4", offset=at), clip.rate, clip.length)


def _packed(clip: MemoryClip) -> tuple[PackedClip, bytes]:
    pictures = [(time, *picture.shape) for time, picture in clip.shots]
    parts = [picture.tobytes() for _, picture in clip.shots]
    packed = PackedClip(pictures, len(clip.samples), clip.rate, clip.length)
    return packed, b"".join([*parts, clip.samples.astype("<i4").tobytes()])


def _cut(work: Cut, ears: Ears | None) -> Iterator[tuple[Piece, bytes]]:
    spans: Iterable[tuple[float, float]] = work.spans or even_spans(work.window, work.hop)
    heard: dict[tuple[float, float], HeardWords] = {}
    try:
        check_clip(work.video, work.bounds)
        if work.transcribe:
            from emofuse.service.media_pool.listening import hear_film, heard_spans

            assert ears is not None
            spans = heard_spans((yield from hear_film(work, ears)), heard)
        for window in cut_windows(work.video, spans, work.look, work.bounds.seconds):
            clip, data = _packed(window.clip)
            words = heard.pop((window.start, window.end), None)
            yield Piece(clip, window.start, window.end, heard=words), data
        yield Piece(None), b""
    except Exception as error:  # as in `_extract`
        yield Piece(None, refused=_reason(error)), b""


def _check(files: Mapping[str, Path], bounds: Bounds) -> None:
    for name, file in files.items():
        try:
            check_clip(file, bounds)
        except MediaError as error:
            raise MediaError(Reason.OTHER, f"{name}: {error}") from None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to answer
    main(socket.socket(fileno=int(sys.argv[1])))
