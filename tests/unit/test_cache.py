from __future__ import annotations

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted
from emofuse.extraction.cache import FeatureCache
from tests.pipeline.imports import ROOT

ROW = Extracted(np.array([1.5, np.nan, -0.0], np.float32))
GIB = 2**30


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def filled(folder: Path, count: int, width: int = 3) -> FeatureCache:
    cache = FeatureCache(folder, GIB)
    for number in range(count):
        assert cache.put(key(number), "audio", Extracted(np.full(width, number, np.float32)))
    return cache


def test_rows_and_reasons_survive_to_the_bit(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, GIB)
    assert cache.get(key(0)) is None
    cache.put(key(0), "audio", ROW)
    cache.put(key(1), "audio", Extracted(None, Cause(Reason.UNDECODABLE, "no sound – né")))
    cache.put_names("identity", ["a", "b", "c"])
    cache.close()
    again = FeatureCache(tmp_path, GIB)
    found = again.get(key(0))
    assert found is not None and found.values is not None and ROW.values is not None
    assert found.values.tobytes() == ROW.values.tobytes()
    assert again.get(key(1)) == Extracted(None, Cause(Reason.UNDECODABLE, "no sound – né"))
    assert again.names("identity") == ("a", "b", "c")
    assert again.counts()["audio"][0] == 2


def test_an_altered_entry_counts_as_absent(tmp_path: Path) -> None:
    cache = filled(tmp_path, 2)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE entries SET value = x'2b00000000' WHERE key = ?", (key(0),))
    connection.close()
    assert cache.get(key(0)) is None
    assert cache.get(key(1)) is not None


def test_an_entry_under_a_wrong_key_counts_as_absent(tmp_path: Path) -> None:
    cache = filled(tmp_path, 1)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE entries SET key = ?", (key(7),))
    connection.close()
    assert cache.get(key(7)) is None


def test_a_file_that_is_no_database_is_begun_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "features.sqlite").write_bytes(b"no database " * 1000)
    cache = filled(tmp_path, 1)
    assert cache.get(key(0)) is not None
    assert "a new cache is begun" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    cache = FeatureCache(tmp_path / "file" / "cache", GIB)
    assert not cache.put(key(0), "audio", ROW)
    assert cache.get(key(0)) is None
    assert "going on without the cache" in capsys.readouterr().err


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from emofuse.extraction.cache import FeatureCache
from emofuse.core.records import Extracted
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache = FeatureCache(Path(sys.argv[1]), 2**30)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kept = [cache.put(bytes([n]) * 32, "audio", Extracted(np.zeros(2688, np.float32))) for n in range(60)]
print(kept[0], kept[-1], cache.get(bytes(32)))
"""


def test_a_full_disk_is_a_warning_and_what_was_written_stays(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["True", "False", "None"]
    assert done.stderr.count("going on without the cache") == 1
    again = FeatureCache(tmp_path, GIB)
    assert again.get(bytes(32)) is not None
    assert 0 < again.counts()["audio"][0] < 60


def _write(folder: Path, start: int) -> None:
    cache = FeatureCache(folder, GIB)
    for number in range(start, start + 300):
        assert cache.put(key(number), "audio", Extracted(np.full(50, number, np.float32)))
    cache.close()


def test_two_runs_may_write_at_once(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write, args=(tmp_path, start)) for start in (0, 200)]  # they overlap
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    cache = FeatureCache(tmp_path, GIB)
    assert cache.counts()["audio"][0] == 500
    assert all(cache.get(key(number)) is not None for number in range(500))


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from emofuse.extraction.cache import FeatureCache
from emofuse.core.records import Extracted
cache = FeatureCache(Path(sys.argv[1]), 2**30)
for n in range(100):
    cache.put(n.to_bytes(32, "big"), "audio", Extracted(np.zeros(500, np.float32)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert FeatureCache(tmp_path, GIB).counts()["audio"][0] == 100


def test_pruning_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = filled(tmp_path, 600, width=1000)
    with sqlite3.connect(cache.path) as connection:
        connection.execute("UPDATE entries SET used = used - 9 WHERE modality = 'audio'")
    connection.close()
    assert cache.get(key(3)) is not None  # used today
    limit = cache.size() // 2
    assert cache.prune(limit) >= 250
    assert cache.size() <= limit
    assert cache.get(key(3)) is not None
    assert cache.get(key(0)) is None
    assert cache.path.stat().st_size <= limit + 2**20


def test_the_command_shows_and_prunes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text().replace(".cache/features", "kept")
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    filled(tmp_path / "kept", 5).close()
    shown = CliRunner().invoke(app, ["cache", "show"])
    assert shown.exit_code == 0
    assert "of at most 20 GiB" in shown.output
    assert "audio" in shown.output and "5 entries" in shown.output
    assert "removed 5 entries" in CliRunner().invoke(app, ["cache", "prune", "--gb", "0"]).output
