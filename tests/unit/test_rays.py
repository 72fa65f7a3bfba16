"""Extraction over Ray: the same bytes as worker processes, also when a machine dies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from emofuse.errors import RayError
from emofuse.features.engine import Engine
from emofuse.features.text import TextExtractor
from emofuse.params import Params
from emofuse.schema import Utterance
from tests.pipeline.imports import ROOT

pytestmark = pytest.mark.slow

# Ray starts servers of its own and warns of what it deprecates, so each test is a program.
SAME = """
import sys
from functools import partial
from pathlib import Path
from emofuse.features.audio import AudioExtractor
from emofuse.features.engine import Engine
from emofuse.features.text import TextExtractor
from emofuse.params import load_params
from emofuse.schema import Utterance

params = load_params()
clips = sorted(Path(sys.argv[1]).rglob("*.mp4"))
media = [Utterance(clip=clip) for clip in [*clips, *clips]]
texts = [Utterance(text=f"{word} and {other}") for word in ("yes", "no", "well then") for other in "abcdefgh"]


def table(make, rows, encoder, engine, before=lambda number: None):
    def items():
        for number, row in enumerate(rows):
            before(number)
            yield number.to_bytes(2, "big"), row

    run = params.extract.model_copy(update={"engine": engine, "workers": 2})
    found = dict(Engine(run, own_process=encoder).run(make, items()))
    return [(row.reason, row.values is not None and row.values.tobytes()) for _, row in sorted(found.items())]


def compare(before=lambda number: None):
    audio = partial(AudioExtractor, params.audio)
    assert table(audio, media, False, "ray", before) == table(audio, media, False, "processes")
    text = partial(TextExtractor, params.text)
    encoded = table(text, texts, True, "ray")
    assert encoded == table(text, texts, True, "processes")
    assert all(values for _, values in encoded)
    print("the same")
"""

KILLED = """
import time

import ray
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
second = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
assert len([node for node in ray.nodes() if node["Alive"]]) == 2


def kill(number):
    if number == len(media) // 2:
        cluster.remove_node(second, allow_graceful=False)


compare(kill)
for _ in range(60):  # Ray misses some heartbeats before it gives a machine up
    alive = len([node for node in ray.nodes() if node["Alive"]])
    if alive == 1:
        break
    time.sleep(0.5)
assert alive == 1
ray.shutdown()
cluster.shutdown()
"""


def program(text: str, corpus: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text, str(corpus)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_ray_gives_the_same_bytes_as_processes(corpus: Path) -> None:
    done = program(SAME + "\n\ncompare()\n", corpus)
    assert "the same" in done.stdout, done.stderr


def test_a_machine_that_dies_has_its_clips_redone_by_others(corpus: Path) -> None:
    done = program(SAME + KILLED, corpus)
    assert done.returncode == 0 and "the same" in done.stdout, done.stderr


def test_an_address_where_no_ray_answers_is_a_message(params: Params) -> None:
    run = params.extract.model_copy(update={"engine": "ray", "ray_address": "127.0.0.1:1"})
    items = iter([(b"key", Utterance(text="hello"))])
    with pytest.raises(RayError, match=r"can't be reached at '127\.0\.0\.1:1'"):
        list(Engine(run, own_process=True).run(lambda: TextExtractor(params.text), items))
