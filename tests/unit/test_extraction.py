"""Cache, resume and engines of extraction, over real clips and extractors."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from emofuse.core.errors import ExtractorError
from emofuse.core.hashes import FileHashes
from emofuse.core.params import AudioParams, ExtractParams, Params
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import KEY, Extracted, Utterance
from emofuse.core.tables import read_features
from emofuse.datasets.clips import content_hashes
from emofuse.extraction.content import clip_content, text_content
from emofuse.extraction.identity import PACKAGE, SOURCES, identity
from emofuse.extraction.processes import in_processes
from emofuse.extraction.run import Task, extract
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.contract import Extractor
from emofuse.features.metadata import MetadataExtractor
from emofuse.features.text.extractor import TextExtractor
from emofuse.features.visual.extractor import VisualExtractor
from tests.fragile import Fragile, no_library, no_memory, no_room
from tests.pipeline.imports import ROOT, imported_modules


@pytest.fixture
def run(params: Params, tmp_path: Path) -> ExtractParams:
    return params.extract.model_copy(update={"cache": tmp_path / "cache", "workers": 2})


@pytest.fixture
def clips(corpus: Path, tmp_path: Path) -> list[Utterance]:
    """Six clips, one of them twice, one missing and a row without any."""
    found = sorted((corpus / "train_splits").glob("*.mp4"))[:6]
    paths = [shutil.copy(path, tmp_path / path.name) for path in found]
    (tmp_path / "text.mp4").write_text("no clip")
    rows = [Utterance(clip=Path(path)) for path in [*paths, paths[0], tmp_path / "none.mp4", tmp_path / "text.mp4"]]
    return [*rows, Utterance(clip_reason=Cause(Reason.CLIP_NOT_GIVEN))]


def keys_of(rows: Sequence[Utterance]) -> pd.DataFrame:
    return pd.DataFrame({"split": "train", "dialogue": "0", "utterance": np.arange(len(rows))})[KEY]


def table(task: Task, rows: Sequence[Utterance], run: ExtractParams, path: Path) -> bytes:
    extract(task, rows, keys_of(rows), path, run)
    return path.read_bytes()


def audio_task(params: AudioParams) -> Task:
    return Task("audio", params, partial(AudioExtractor, params), clip_content)


def refusing(task: Task) -> Task:
    """The task with an extractor that can't be made."""
    return Task(task.modality, task.params, _no_extractor, task.content)


def _no_extractor() -> Extractor:
    raise AssertionError("nothing is to be extracted")


def test_a_second_run_extracts_nothing_and_gives_the_same_bytes(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = audio_task(params.audio)
    cold = table(task, clips, run, tmp_path / "audio.parquet")
    assert "audio: 10 utterances" in capsys.readouterr().err
    # The missing clip is looked for again; nothing else is.
    assert table(refusing(task), clips, run, tmp_path / "audio.parquet") == cold
    told = "10 from the cache, 4 absent (2 can't be decoded, 1 file not found, 1 clip not given)"
    assert told in capsys.readouterr().err  # the corpus breaks a clip on purpose
    back = read_features("audio", keys_of(clips), tmp_path)
    assert back.reasons[-1] == "clip not given"
    np.testing.assert_array_equal(back.values[0], back.values[6])


def test_workers_and_a_missing_cache_change_no_byte(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    runs = (run, run.model_copy(update={"workers": 1, "cache": tmp_path / "b"}))
    nowhere = run.model_copy(update={"cache": tmp_path / "file" / "cache"})
    tables = {table(audio_task(params.audio), clips, one, tmp_path / "audio.parquet") for one in (*runs, nowhere)}
    assert len(tables) == 1


def test_renaming_and_adding_clips_costs_only_the_new_one(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = clips[:5]
    table(audio_task(params.audio), first, run, tmp_path / "audio.parquet")
    assert first[0].clip is not None
    renamed = Utterance(clip=first[0].clip.rename(tmp_path / "other name.mov"))
    capsys.readouterr()
    table(audio_task(params.audio), [clips[5], renamed, *first[1:]], run, tmp_path / "audio.parquet")
    assert "6 utterances" in (told := capsys.readouterr().err) and "5 from the cache" in told


def test_a_param_of_one_modality_recomputes_that_one(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table(audio_task(params.audio), clips[:2], run, tmp_path / "audio.parquet")
    changed = params.audio.model_copy(update={"n_mfcc": 5})
    capsys.readouterr()
    table(audio_task(changed), clips[:2], run, tmp_path / "audio.parquet")
    assert "0 from the cache" in capsys.readouterr().err
    assert identity("audio", params.audio) != identity("visual", params.visual)


def test_what_is_pruned_while_a_run_is_on_is_extracted_again(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path
) -> None:
    task = audio_task(params.audio)
    cold = table(task, clips[:3], run, tmp_path / "audio.parquet")
    tiny = run.model_copy(update={"cache_gb": 1e-6})  # each run prunes all that it wrote
    assert table(task, clips[:3], tiny, tmp_path / "audio.parquet") == cold
    assert table(task, clips[:3], tiny, tmp_path / "audio.parquet") == cold


def test_clips_are_read_from_where_fsspec_finds_them(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path
) -> None:
    near = table(audio_task(params.audio), clips[:2], run, tmp_path / "near.parquet")
    far = [Utterance(url=utterance.clip.as_uri()) for utterance in clips[:2] if utterance.clip]
    assert table(refusing(audio_task(params.audio)), far, run, tmp_path / "far.parquet") == near
    cold = run.model_copy(update={"cache": tmp_path / "cold"})
    assert table(audio_task(params.audio), far, cold, tmp_path / "far.parquet") == near
    gone = [Utterance(url="file:///no/such/clip.mp4")]
    table(audio_task(params.audio), gone, run, tmp_path / "audio.parquet")
    assert read_features("audio", keys_of(gone), tmp_path).reasons == ("file not found",)


def test_clips_are_read_over_http(params: Params, clips: list[Utterance], served_folder: str) -> None:
    assert clips[0].clip
    extractor = AudioExtractor(params.audio)
    [near] = extractor.extract([clips[0]])
    [far, gone] = extractor.extract(
        [Utterance(url=f"{served_folder}/{clips[0].clip.name}"), Utterance(url=f"{served_folder}/no-such-clip.mp4")]
    )
    np.testing.assert_array_equal(far.values, near.values)
    assert gone.reason == "file not found"


def test_a_clip_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr("hashlib.file_digest", lambda file, name: taken.append(1) or hashlib.new(name, file.read()))
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"one")
    old = time.time() - 100
    monkeypatch.setattr("emofuse.core.hashes.SETTLED", -1.0)
    os.utime(clip, (old, old))
    assert content_hashes(tmp_path, ["a.mp4"], tmp_path / "cache") == [hashlib.sha256(b"one").hexdigest()]
    with closing(FileHashes(tmp_path / "cache")) as hashes:
        assert clip_content(Utterance(clip=clip), hashes) == hashlib.sha256(b"one").digest()
        assert len(taken) == 1
        clip.write_bytes(b"two")
        os.utime(clip, (old, old))  # a copy that keeps size and time: its place or the time of its arrival tell
        assert clip_content(Utterance(clip=clip), hashes) == hashlib.sha256(b"two").digest()
        (tmp_path / "b.mp4").write_bytes(b"new")
        os.utime(tmp_path / "b.mp4", (old, old))
        (tmp_path / "b.mp4").replace(clip)
        assert clip_content(Utterance(clip=clip), hashes) == hashlib.sha256(b"new").digest()
        assert clip_content(Utterance(clip=tmp_path / "none.mp4"), hashes) == Extracted(None, Cause(Reason.NOT_FOUND))
    assert len(taken) == 3


@pytest.mark.parametrize("nowhere", ["file", "file/below"])
def test_hashes_are_taken_anew_where_they_can_not_be_kept(tmp_path: Path, nowhere: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    for folder in (tmp_path / nowhere, None):
        with closing(FileHashes(folder)) as hashes:
            assert hashes.sha256(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_a_clip_elsewhere_is_fetched_once_and_is_the_one_that_ingest_read(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path, served_folder: str
) -> None:
    assert isinstance(clips[0].clip, Path) and isinstance(clips[1].clip, Path)
    digests = [hashlib.sha256(clip.read_bytes()).hexdigest() for clip in (clips[0].clip, clips[1].clip)]
    url = f"{served_folder}/{clips[0].clip.name}"
    one = run.model_copy(update={"workers": 1})
    FETCHED.clear()
    table(audio_task(params.audio), [Utterance(url=url, sha256=digests[0])], one, tmp_path / "far.parquet")
    assert FETCHED.count(f"/{clips[0].clip.name}") == 1
    near = table(audio_task(params.audio), clips[:1], run, tmp_path / "near.parquet")
    assert (tmp_path / "far.parquet").read_bytes() == near
    other = [Utterance(url=url, sha256=digests[1])]
    table(audio_task(params.audio), other, one, tmp_path / "audio.parquet")
    (reason,) = read_features("audio", keys_of(other), tmp_path).reasons
    assert reason == "not the clip that ingest read; run `dvc repro -f ingest`"


@pytest.mark.parametrize("address", ["file:///no/such/clip.mp4", "memory://none/clip.mp4", None])
def test_the_table_tells_a_length_wherever_the_clip_is_missing(
    params: Params, tmp_path: Path, address: str | None
) -> None:
    place = {"url": address} if address else {"clip": tmp_path / "none.mp4"}
    (row,) = MetadataExtractor(params.metadata).extract([Utterance(position=0, duration=2.5, **place)])
    assert row.values is not None and row.reason == ""
    assert row.values[0] == 2.5


FETCHED: list[str] = []


class Counted(SimpleHTTPRequestHandler):
    """Notes what is fetched from its start to its end."""

    def do_GET(self) -> None:
        FETCHED.append(self.path)
        super().do_GET()


@pytest.fixture
def served_folder(tmp_path: Path) -> Iterator[str]:
    """The address of the test's folder on a server of its own."""
    handler = partial(Counted, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


WORDS = ["hello", "good morning to you", "no", "a longer sentence than all the others in this list", "yes", "well"]


def said(*texts: str) -> list[Utterance]:
    return [Utterance(text=text) for text in texts]


def test_a_texts_features_are_the_same_to_the_bit_whatever_else_is_encoded(
    params: Params, run: ExtractParams, tmp_path: Path
) -> None:
    task = Task("text", params.text, partial(TextExtractor, params.text), partial(text_content, params.text))
    table(task, said(*WORDS[:2], ""), run, tmp_path / "text.parquet")
    grown = table(task, said(*WORDS), run, tmp_path / "text.parquet")
    cold = run.model_copy(update={"cache": tmp_path / "cold"})
    assert table(task, said(*WORDS), cold, tmp_path / "text.parquet") == grown
    assert table(refusing(task), said(*WORDS), run, tmp_path / "text.parquet") == grown
    many = dict(TextExtractor(params.text).stream(said(*WORDS * 40)))
    back = read_features("text", keys_of(said(*WORDS)), tmp_path)
    for number in range(len(many)):
        np.testing.assert_array_equal(many[number].values, back.values[number % len(WORDS)])


@pytest.mark.parametrize(("precision", "rounding"), [("fp32", 1e-5), ("bf16", 0.05)])
def test_padded_texts_have_the_features_of_exact_ones(params: Params, precision: str, rounding: float) -> None:
    every = {"precision": precision, "pooling": ["mean", "max", "cls"]}
    extractor = TextExtractor(params.text.model_copy(update=every))
    texts = said(*WORDS, "", " ".join(WORDS * 3), "words without end " * 100)
    exact = dict(extractor.stream(texts))
    for number, row in enumerate(extractor.extract(texts)):
        assert row.reason == exact[number].reason
        if row.values is not None:
            np.testing.assert_allclose(row.values, exact[number].values, atol=rounding, rtol=rounding)


def test_bf16_is_near_fp32_and_an_identity_of_its_own(params: Params) -> None:
    half = params.text.model_copy(update={"precision": "bf16"})
    assert identity("text", half) != identity("text", params.text)
    rows = [[row.values for row in TextExtractor(p).extract(said(*WORDS))] for p in (params.text, half)]
    for full, near in zip(*rows, strict=True):
        assert full is not None and near is not None
        assert float(full @ near / np.linalg.norm(full) / np.linalg.norm(near)) > 0.999


def test_metadata_is_not_cached(params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path) -> None:
    rows = [Utterance(clip=clips[0].clip, position=n, dialogue_length=3) for n in range(3)]
    task = Task("metadata", params.metadata, partial(MetadataExtractor, params.metadata), None)
    table(task, rows, run, tmp_path / "metadata.parquet")
    back = read_features("metadata", keys_of(rows), tmp_path)
    assert back.values[:, back.names.index("position")].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("dies", "decoder crashed"),
        pytest.param("is killed", "decoder crashed", marks=pytest.mark.slow),
        pytest.param("hangs", "took longer than 8 s; raise extract.seconds", marks=pytest.mark.slow),
        ("raises", "decoder failed: ValueError"),
    ],
)
def test_a_clip_that_is_too_much_is_a_row_and_the_others_are_right(
    params: Params, clips: list[Utterance], how: str, reason: str
) -> None:
    assert isinstance(clips[2].clip, Path)
    items = [(bytes([number]), clip) for number, clip in enumerate(clips[:6])]
    found = dict(in_processes(partial(Fragile, params.audio, clips[2].clip.name, how), iter(items), 8, 2))
    whole = dict(in_processes(partial(AudioExtractor, params.audio), iter(items), 60, 1))
    assert found[bytes([2])].reason == reason
    for key in set(whole) - {bytes([2])}:
        np.testing.assert_array_equal(found[key].values, whole[key].values)


def test_what_was_too_much_is_tried_again_by_the_next_run(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path
) -> None:
    assert isinstance(clips[2].clip, Path)
    task = audio_task(params.audio)
    fragile = Task("audio", params.audio, partial(Fragile, params.audio, clips[2].clip.name, "raises"), clip_content)
    first = table(fragile, clips[:4], run, tmp_path / "audio.parquet")
    assert "decoder failed: ValueError" in read_features("audio", keys_of(clips[:4]), tmp_path).reasons
    assert table(task, clips[:4], run, tmp_path / "audio.parquet") != first
    assert read_features("audio", keys_of(clips[:4]), tmp_path).present[2]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (no_library, "ImportError: libsndfile.so.1: cannot open shared object file"),
        (no_room, "No space left on device"),
        (no_memory, "it ends its process"),
    ],
)
def test_an_extractor_that_cannot_start_fails_once_with_the_cause(
    params: Params,
    run: ExtractParams,
    clips: list[Utterance],
    tmp_path: Path,
    make: Callable[[], Extractor],
    cause: str,
) -> None:
    with pytest.raises(ExtractorError, match=re.escape(cause)):
        table(Task("audio", params.audio, make, clip_content), clips, run, tmp_path / "audio.parquet")
    assert not (tmp_path / "audio.parquet").exists()


@pytest.mark.parametrize("how", ["raises", pytest.param("dies", marks=pytest.mark.slow)])
def test_an_extractor_that_works_on_no_clip_fails_and_blames_none(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path, how: str
) -> None:
    every = Task("audio", params.audio, partial(Fragile, params.audio, "*.mp4", how), clip_content)
    with pytest.raises(ExtractorError, match="works on none, so that no clip can be blamed"):
        table(every, clips[:3], run, tmp_path / "audio.parquet")


def test_clips_are_drawn_as_workers_get_free(params: Params, clips: list[Utterance]) -> None:
    drawn = 0

    def items() -> Iterator[tuple[bytes, Utterance]]:
        nonlocal drawn
        for number in range(400):
            drawn += 1
            yield number.to_bytes(2, "big"), clips[-1]

    results = in_processes(partial(AudioExtractor, params.audio), items(), 60, 1)
    next(results)
    assert drawn < 100
    assert len(list(results)) == 399


@pytest.mark.parametrize("modality", SOURCES)
def test_an_identity_covers_every_module_that_makes_the_features(modality: str) -> None:
    """How extraction is run, where errors are told and what tables look like changes no feature."""
    module = PACKAGE / ("transcription" if modality == "transcript" else f"features/{modality}") / "extractor.py"
    reached = {ROOT / path for path in imported_modules(module)} | {module}
    names = {path.relative_to(PACKAGE).as_posix() for path in reached}
    rounding = {"core/linear.py"}
    names -= {name for name in names if name.startswith("core/") and name not in rounding} | {"extraction/remote.py"}
    if modality == "text":
        names -= {"features/contract.py"}  # types alone
    covered = {name for name in names if any(name == part or name.startswith(f"{part}/") for part in SOURCES[modality])}
    assert names == covered
    assert all(any(name == part or name.startswith(f"{part}/") for name in names) for part in SOURCES[modality])


def test_visual_features_are_cached_alike(
    params: Params, run: ExtractParams, clips: list[Utterance], tmp_path: Path
) -> None:
    task = Task("visual", params.visual, partial(VisualExtractor, params.visual), clip_content)
    cold = table(task, clips, run, tmp_path / "visual.parquet")
    assert table(refusing(task), clips, run, tmp_path / "visual.parquet") == cold
