"""`emofuse fetch`, against a server on this machine that fails as servers do."""

from __future__ import annotations

import hashlib
import io
import json
import re
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.layouts import CORPORA, LAYOUTS
from emofuse.core.params import Params
from emofuse.datasets.manifest import build_manifest
from emofuse.datasets.provenance import SOURCE_FILE, read_provenance
from emofuse.fetch.sources import SOURCES, Remote, Source
from tests.conftest import SEED, ingest
from tests.corpora import ravdess

RUNNER = CliRunner()


@dataclass
class Server:
    """Files by name, and what goes wrong with them.

    Attributes:
        url: of the folder.
        files: their bytes.
        breaks: bytes after which a transfer of a file is broken off, once.
        stalls: files of which nothing more comes before their transfer is broken off.
        ranges: whether a part can be asked for.
        tags: whether versions are told apart.
        requests: name and range of each.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    stalls: set[str] = field(default_factory=set)
    go_on: Event = field(default_factory=Event)
    ranges: bool = True
    tags: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, asked = self.path.lstrip("/"), self.headers["Range"]
            state.requests.append((name, asked))
            if name not in state.files:
                return self.send_error(404)
            content = state.files[name]
            tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
            start = 0
            if asked and state.ranges and self.headers["If-Range"] in (None, tag):
                start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if state.tags:
                self.send_header("ETag", tag)
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked has gone
                self.wfile.write(content[start : state.breaks.pop(name, len(content))])
            if name in state.stalls:
                state.go_on.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = Thread(target=httpd.serve_forever, args=(0.01,))  # seconds until it sees that it is to end
    thread.start()
    try:
        yield state
    finally:
        state.go_on.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as state:
        yield state


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)  # which is of no date, so that bytes are the same
    return packed.getvalue()


def tarred(*entries: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, link, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def publish(
    monkeypatch: pytest.MonkeyPatch, server: Server, name: str, content: bytes, checksum: str | None = None
) -> None:
    """Make a corpus `mine` of one file that the server has."""
    server.files[name] = content
    files = (Remote(f"{server.url}/{name}", name, checksum),)
    source = Source("Mine (Me, 2026)", "ravdess", files, "of my page")
    monkeypatch.setitem(SOURCES, "mine", source)


def fetch(root: Path, *options: str, name: str = "mine") -> tuple[int, str]:
    done = RUNNER.invoke(app, ["fetch", name, "--root", str(root), *(options or ("--accept-licence",))])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def left(root: Path) -> list[str]:
    """Files below a folder, those that a fetch keeps for itself left out."""
    paths = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(path.as_posix() for path in paths if path.parts[0] not in (".fetch", SOURCE_FILE))


NOISE = bytes(range(256)) * 20_000  # 5 MB
MD5 = "md5:" + hashlib.md5(zipped({"joy/1.wav": NOISE})).hexdigest()


def test_nothing_comes_before_the_licence_is_accepted(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": b"sound"}))
    code, output = fetch(tmp_path, "--root", str(tmp_path))
    assert code == 2
    assert f"licence: {CORPORA['ravdess'].licence}" in output
    assert "nothing was fetched; read the licence, and where you keep to it, add --accept-licence" in output
    assert server.requests == []


def test_a_corpus_is_brought_unpacked_and_recorded_once(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    packed = zipped({"joy/1.wav": NOISE})
    publish(monkeypatch, server, "a.zip", packed, MD5)
    code, output = fetch(tmp_path)
    assert code == 0, output
    assert left(tmp_path) == ["a/joy/1.wav"]
    assert (tmp_path / "a/joy/1.wav").read_bytes() == NOISE
    assert not (tmp_path / ".fetch").exists()
    record = read_provenance(tmp_path)
    assert record is not None
    (file,) = record.files
    assert (file.path, file.url, file.bytes) == ("a", f"{server.url}/a.zip", len(packed))
    assert (file.sha256, file.checksum) == (hashlib.sha256(packed).hexdigest(), MD5)
    assert output.index("licence:") < output.index("5.1 MB") < output.index("-S ingest.layout=ravdess")
    code, output = fetch(tmp_path)
    assert (code, len(server.requests)) == (0, 1)
    assert f"{tmp_path}/a: is there" in output


def test_a_corpus_that_is_given_on_request_says_where_to_ask(tmp_path: Path) -> None:
    code, output = fetch(tmp_path, name="iemocap")
    assert code == 2
    assert "ask at https://sail.usc.edu/iemocap/iemocap_release.htm, unpack it, and set ingest.layout" in output


def test_an_unknown_name_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    code, output = fetch(tmp_path, name="revdess")
    assert code == 2
    assert "found 'revdess', expected one of ravdess, ravdess_video, crema_d" in output


def test_what_is_broken_off_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": NOISE}), MD5)
    server.breaks["a.zip"] = 3_000_000
    code, output = fetch(tmp_path)
    assert code == 2
    assert re.search(r"a\.zip: broken off after [23]\.\d MB \(.*\); run the same command again to go on", output)
    assert left(tmp_path) == []
    came = (tmp_path / ".fetch/a.zip.part").stat().st_size
    assert came > 1_000_000
    code, output = fetch(tmp_path)
    assert code == 0, output
    assert server.requests == [("a.zip", None), ("a.zip", f"bytes={came}-")]
    assert (tmp_path / "a/joy/1.wav").read_bytes() == NOISE


@pytest.mark.parametrize("checksum", [MD5, None])
def test_a_server_that_cannot_go_on_gives_the_whole_again(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path, checksum: str | None
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": NOISE}), checksum)
    server.breaks["a.zip"], server.ranges, server.tags = 3_000_000, False, False
    assert fetch(tmp_path)[0] == 2
    assert fetch(tmp_path)[0] == 0
    # Without a version and a checksum, parts of two versions couldn't be told.
    assert (server.requests[1][1] is None) == (checksum is None)
    assert (tmp_path / "a/joy/1.wav").read_bytes() == NOISE


def test_a_file_that_changed_meanwhile_is_not_pieced_together(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": NOISE}))
    server.breaks["a.zip"] = 3_000_000
    assert fetch(tmp_path)[0] == 2
    server.files["a.zip"] = zipped({"joy/1.wav": NOISE[::-1]})
    assert fetch(tmp_path)[0] == 0
    assert (tmp_path / "a/joy/1.wav").read_bytes() == NOISE[::-1]


@pytest.mark.parametrize("length", [5_000_000, None])
def test_a_part_that_nothing_can_follow_is_whole_or_removed(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path, length: int | None
) -> None:
    packed = zipped({"joy/1.wav": NOISE})
    publish(monkeypatch, server, "a.zip", packed, MD5)
    part = tmp_path / ".fetch/a.zip.part"
    part.parent.mkdir()
    part.write_bytes(packed if length is None else packed + b"more")
    code, output = fetch(tmp_path)
    if length is None:
        assert code == 0, output
        assert left(tmp_path) == ["a/joy/1.wav"]
    else:
        assert "what came before is of another version and was removed" in output
        assert fetch(tmp_path)[0] == 0


def test_a_wrong_checksum_is_told_and_nothing_is_kept(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    right = zipped({"joy/1.wav": NOISE})
    publish(monkeypatch, server, "a.zip", right[:-1000] + b"x" * 1000, MD5)
    code, output = fetch(tmp_path)
    assert code == 2
    assert f"expected {MD5}, " in output
    assert "It was removed; run the same command again" in output
    assert list(tmp_path.rglob("*")) == [tmp_path / ".fetch"]
    server.files["a.zip"] = right
    assert fetch(tmp_path)[0] == 0
    assert left(tmp_path) == ["a/joy/1.wav"]


def test_without_a_checksum_it_says_so_and_records_what_came(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "words.json", b"{}")
    code, output = fetch(tmp_path)
    assert code == 0
    assert "its publisher names no checksum that we know, so it was held to none; what came is recorded" in output
    record = json.loads((tmp_path / SOURCE_FILE).read_text())
    assert record["files"][0]["checksum"] is None
    assert record["files"][0]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert left(tmp_path) == ["words.json"]


@pytest.mark.parametrize("listed", [MD5, "md5:" + "0" * 32, None])
def test_checksums_are_taken_from_the_record_that_lists_them(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path, listed: str | None
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": NOISE}))
    monkeypatch.setitem(SOURCES, "mine", replace(SOURCES["mine"], record=f"{server.url}/record"))
    if listed:
        server.files["record"] = json.dumps({"files": [{"key": "a.zip", "checksum": listed}]}).encode()
    code, output = fetch(tmp_path)
    assert code == (2 if listed not in (MD5, None) else 0)
    said = {MD5: f"as its publisher says ({MD5})", None: "it was held to none"}
    assert said.get(listed, f"expected {listed}") in output


def test_a_file_that_the_server_lacks_is_told(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path) -> None:
    publish(monkeypatch, server, "a.zip", b"")
    server.files.clear()
    code, output = fetch(tmp_path)
    assert code == 2
    assert "a.zip: 404 Client Error: Not Found; it may have moved: look at the corpus's page" in output


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving() as server:
        publish(monkeypatch, server, "a.zip", b"")
    code, output = fetch(tmp_path)
    assert code == 2
    assert "a.zip: can't be reached (" in output


def test_what_is_there_already_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": b"new"}))
    (tmp_path / "a").mkdir()
    code, output = fetch(tmp_path)
    assert code == 2
    assert "a: is there, but not by fetch; move it away, or leave fetch out and use it" in output
    assert server.requests == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from emofuse.core.errors import guard
from emofuse.fetch.bring import bring
from emofuse.fetch.sources import Remote, Source
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without it
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
with guard():
    bring(Source("t", "ravdess", (Remote(sys.argv[1], "a.tar.gz"),)), Path(sys.argv[2]), print)
"""


def bringing(server: Server, root: Path, most_bytes: int = 1 << 30) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LIMITED, f"{server.url}/a.tar.gz", str(root), str(most_bytes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_call_that_is_interrupted_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.files["a.tar.gz"] = tarred(("joy/1.wav", NOISE * 4 + bytes(hashlib.sha256(NOISE).digest())))
    half = len(server.files["a.tar.gz"]) // 2
    server.breaks["a.tar.gz"], server.stalls = half, {"a.tar.gz"}
    process, part = bringing(server, tmp_path), tmp_path / ".fetch/a.tar.gz.part"
    while not part.is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command to go on" in errors
    assert "Traceback" not in errors
    assert left(tmp_path) == []
    server.stalls = set()
    process = bringing(server, tmp_path)
    assert process.communicate(timeout=60) and process.returncode == 0
    assert left(tmp_path) == ["a/joy/1.wav"]


def test_a_place_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": b"a"}))
    (tmp_path / "file").touch()
    code, output = fetch(tmp_path / "file")
    assert code == 2
    assert "can't be written to (Not a directory; " in output


@pytest.mark.parametrize(("limit", "before"), [(100_000, 0), (2_000_000, 1)])
def test_a_full_disk_is_told_and_the_next_call_goes_on(server: Server, tmp_path: Path, limit: int, before: int) -> None:
    digits = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(50_000)).encode()  # which pack to half
    server.files["a.tar.gz"] = tarred(("joy/1.wav", digits))
    assert 100_000 < len(server.files["a.tar.gz"]) < 2_000_000 < len(digits)

    def run(size: int) -> tuple[int, str]:
        process = bringing(server, tmp_path, size)
        return process.wait(60), str(process.communicate()[1])

    code, errors = run(limit)
    assert code == 2
    assert re.search(r"\.fetch: can't be written to \(File too large; \d+ MB are free\); make room, then", errors)
    assert "Traceback" not in errors
    assert left(tmp_path) == []
    assert not list(tmp_path.rglob("*.wav"))
    code, errors = run(100_000_000)
    assert code == 0, errors
    assert (tmp_path / "a/joy/1.wav").read_bytes() == digits
    # What came before isn't brought again: all of it where it was whole, else what was written of it.
    assert len(server.requests) == 2 - before
    if not before:
        assert server.requests[1] == ("a.tar.gz", f"bytes={limit}-")


def test_too_little_room_is_told_before_anything_comes(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": NOISE}))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    code, output = fetch(tmp_path)
    assert code == 2
    assert "5 MB are to come and 1 MB are free; make room, then run the same command again" in output


def linked_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("joy/passwd.wav")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return packed.getvalue()


def zeros(count: int) -> bytes:
    return b"\0" * count


EVIL = {
    "out.zip": (lambda: zipped({"joy/1.wav": b"s", "../../out.wav": b"evil"}), "a path that leaves its folder"),
    "root.zip": (lambda: zipped({"/tmp/out.wav": b"evil"}), "a path that leaves its folder"),
    "windows.zip": (lambda: zipped({"..\\out.wav": b"evil"}), "a path that leaves its folder"),
    "drive.zip": (lambda: zipped({"C:/out.wav": b"evil"}), "a path that leaves its folder"),
    "link.zip": (linked_zip, "a link or a device"),
    "bomb.zip": (lambda: zipped({"joy/1.wav": zeros(3 << 20)}, zipfile.ZIP_DEFLATED), "unpacks to more than 2 MB"),
    "many.zip": (
        lambda: zipped({f"joy/{n}.wav": zeros(1 << 19) for n in range(9)}, zipfile.ZIP_DEFLATED),
        "unpacks to more than 2 MB",
    ),
    "inner.zip": (
        lambda: zipped({"train.zip": zipped({"joy/1.wav": zeros(3 << 20)}, zipfile.ZIP_DEFLATED)}),
        "unpacks to more than 2 MB",
    ),
    "twice.tar.gz": (lambda: tarred(("joy/1.wav", b"a"), ("joy/1.wav", b"b")), "'joy/1.wav' twice"),
    "below.tar.gz": (lambda: tarred(("joy", b"a"), ("joy/1.wav", b"b")), "'joy/1.wav' twice"),
    "out.tar.gz": (lambda: tarred(("joy/1.wav", b"s"), ("../../out.wav", b"evil")), "a path that leaves its folder"),
    "root.tar.gz": (lambda: tarred(("/tmp/out.wav", b"evil")), "a path that leaves its folder"),
    "link.tar.gz": (lambda: tarred(("joy", b""), kind=tarfile.SYMTYPE, link="/etc"), "a link or a device"),
    "hard.tar.gz": (lambda: tarred(("joy/1.wav", b""), kind=tarfile.LNKTYPE, link="/etc/passwd"), "a link or a device"),
    "pipe.tar.gz": (lambda: tarred(("joy/1.wav", b""), kind=tarfile.FIFOTYPE), "a link or a device"),
    "bomb.tar.gz": (lambda: tarred(("joy/1.wav", zeros(3 << 20))), "unpacks to more than 2 MB"),
    "broken.zip": (lambda: zipped({"joy/1.wav": NOISE})[:-100], "File is not a zip file"),
    "torn.tar.gz": (
        lambda: tarred(("joy/1.wav", NOISE[: 1 << 20]))[:-100],
        "it was removed and nothing of it was kept: fetch",
    ),
    "page.tar.gz": (lambda: b"<html>moved</html>", "it was removed and nothing of it was kept: fetch it again"),
}


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_or_broken_archive_leaves_nothing_and_the_next_call_goes_on(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr("emofuse.fetch.unpack.FREE_BYTES", 2_000_000)  # so that a bomb is made in no time
    make, reason = EVIL[name]
    root = tmp_path / "deep" / "root"
    publish(monkeypatch, server, name, make())
    code, output = fetch(root)
    assert code == 2
    assert reason in output
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []
    assert not Path("/tmp/out.wav").exists()
    good = {"joy/1.wav": b"sound"}
    server.files[name] = zipped(good) if name.endswith(".zip") else tarred(*good.items())
    code, output = fetch(root)
    assert code == 0, output
    assert left(root) == [f"{name.split('.')[0]}/joy/1.wav"]


def test_archives_in_the_archive_are_unpacked_where_they_lie(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    inner = tarred(("./train_splits/dia0_utt0.mp4", b"clip"), ("./train_sent_emo.csv", b"table"))
    publish(monkeypatch, server, "MELD.Raw.tar.gz", tarred(("MELD.Raw/train.tar.gz", inner), ("MELD.Raw/README", b"")))
    assert fetch(tmp_path)[0] == 0
    assert left(tmp_path) == [
        "MELD.Raw/MELD.Raw/README",
        "MELD.Raw/MELD.Raw/train_sent_emo.csv",
        "MELD.Raw/MELD.Raw/train_splits/dia0_utt0.mp4",
    ]


def test_one_of_several_files_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    publish(monkeypatch, server, "a.zip", zipped({"joy/1.wav": b"a"}))
    server.files["b.zip"] = zipped({"fear/1.wav": b"b"})
    files = tuple(Remote(f"{server.url}/{name}", name) for name in ("a.zip", "c.zip", "b.zip"))
    monkeypatch.setitem(SOURCES, "mine", Source("Mine", "ravdess", files))
    assert fetch(tmp_path)[0] == 2
    assert left(tmp_path) == ["a/joy/1.wav"]
    server.files["c.zip"] = zipped({"joy/2.wav": b"c"})
    assert fetch(tmp_path)[0] == 0
    assert left(tmp_path) == ["a/joy/1.wav", "b/fear/1.wav", "c/joy/2.wav"]
    assert [name for name, _ in server.requests] == ["a.zip", "c.zip", "c.zip", "b.zip"]


def test_what_was_brought_is_read_and_told_in_the_data_report(
    monkeypatch: pytest.MonkeyPatch, server: Server, params: Params, tmp_path: Path
) -> None:
    ravdess(tmp_path / "made")
    files = {path.relative_to(tmp_path / "made").as_posix(): path.read_bytes()
             for path in sorted((tmp_path / "made").rglob("*.wav"))}  # fmt: skip
    packed = zipped(files)
    md5, sha256 = hashlib.md5(packed).hexdigest(), hashlib.sha256(packed).hexdigest()
    publish(monkeypatch, server, "speech.zip", packed, f"md5:{md5}")
    assert fetch(tmp_path / "root")[0] == 0
    manifest, notes = build_manifest(ingest(params, tmp_path / "root", "ravdess"), SEED)
    assert len(manifest) == len(files)
    assert notes[0] == f"Mine (Me, 2026); {CORPORA['ravdess'].licence}"
    held = rf"sha256 {sha256}, held to its publisher's md5:{md5}"
    assert re.fullmatch(rf"speech came from {server.url}/speech\.zip on \d{{4}}-\d\d-\d\d, {held}", notes[1])
    (tmp_path / "root" / SOURCE_FILE).write_text('{"a user": "file of that name"}')
    _, notes = build_manifest(ingest(params, tmp_path / "root", "ravdess"), SEED)
    assert not any("came from" in note for note in notes)


def test_every_source_is_whole() -> None:
    for name, source in SOURCES.items():
        assert source.layout in LAYOUTS, name
        assert source.record.startswith("https://zenodo.org/api/records/") or not source.record
        assert bool(source.files) != bool(source.ask), name
        assert source.title and source.licence
        for remote in source.files:
            assert re.fullmatch(r"https?://\S+", remote.url)
            assert remote.checksum is None or re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", remote.checksum)
        paths = [remote.target for remote in source.files]
        assert len(set(paths)) == len(paths)
