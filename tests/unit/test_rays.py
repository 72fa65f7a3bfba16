"""Extraction over Ray: the same bytes as worker processes, also when a machine dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from emofuse.core.errors import RayError
from emofuse.core.params import Params
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.engine import Engine
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.text.extractor import TextExtractor
from tests.pipeline.imports import ROOT

pytestmark = pytest.mark.slow

# Ray starts servers of its own and warns of what it deprecates, so each test is a program.
SAME = """
import sys
from functools import partial
from pathlib import Path
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.extraction.engine import Engine
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.text.extractor import TextExtractor
from emofuse.core.params import load_params
from emofuse.core.records import Utterance

params = load_params()
clips = sorted(Path(sys.argv[1]).rglob("*.mp4"))
media = [Utterance(clip=clip) for clip in [*clips, *clips]]
texts = [Utterance(text=f"{word} and {other}") for word in ("yes", "no", "well then") for other in "abcdefgh"]


def table(make, rows, encoder, engine, before=lambda number: None, gpu=False):
    def items():
        for number, row in enumerate(rows):
            before(number)
            yield number.to_bytes(2, "big"), row

    run = params.extract.model_copy(update={"engine": engine, "workers": 2})
    found = dict(Engine(run, own_process=encoder, gpu=encoder or gpu).run(make, items()))
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

DEADLY = """
from tests.fragile import Fragile

made = partial(Fragile, params.audio, clips[2].name)
few = [row for row in media if row.clip.parent == clips[2].parent][:6]  # names are unique within a folder
deadly = [row.clip for row in few].index(clips[2])
found = table(made, few, False, "ray")
whole = table(partial(AudioExtractor, params.audio), few, False, "processes")
assert found.pop(deadly) == ("decoder crashed", False)
assert whole.pop(deadly) and found == whole
print("the others are right")
"""

# Ray counts this GPU and hands it out; where the machine has none, the encoder computes on the processor.
COUNTED_GPU = """
import ray

ray.init(num_cpus=2, num_gpus=1, log_to_driver=False, logging_level="ERROR")
text = partial(TextExtractor, params.text)
from tests.unit.test_rays import OnGpu

assert table(partial(OnGpu, params.text), texts, True, "ray") == table(text, texts, True, "processes")
audio = partial(AudioExtractor, params.audio)
from tests.unit.test_rays import OnShare

shared = table(partial(OnShare, params.audio), media, False, "ray", gpu=True)
assert any(values for _, values in shared) and shared == table(audio, media, False, "processes")
print("on the counted GPU")
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


class OnGpu(TextExtractor):
    """The text extractor, but only where it was given a GPU."""

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        import ray

        assert ray.get_gpu_ids() == [0]
        yield from super().stream(utterances)


class OnShare(AudioExtractor):
    """The audio extractor, but only where half of a GPU is its own."""

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        import ray

        assert ray.get_runtime_context().get_assigned_resources()["GPU"] == 0.5
        yield from super().extract(utterances)


def program(text: str, corpus: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", text, str(corpus)]
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}  # for what workers import
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)


def test_ray_gives_the_same_bytes_as_processes(corpus: Path) -> None:
    done = program(SAME + "\n\ncompare()\n", corpus)
    assert "the same" in done.stdout, done.stderr


def test_a_clip_that_kills_its_worker_is_a_row_and_the_others_are_right(corpus: Path) -> None:
    done = program(SAME + DEADLY, corpus)
    assert "the others are right" in done.stdout, done.stderr


def test_an_encoder_gets_a_gpu_where_the_cluster_has_one(corpus: Path) -> None:
    done = program(SAME + COUNTED_GPU, corpus)
    assert "on the counted GPU" in done.stdout, done.stderr


def test_a_machine_that_dies_has_its_clips_redone_by_others(corpus: Path) -> None:
    done = program(SAME + KILLED, corpus)
    assert done.returncode == 0 and "the same" in done.stdout, done.stderr


def test_an_address_where_no_ray_answers_is_a_message(params: Params) -> None:
    run = params.extract.model_copy(update={"engine": "ray", "ray_address": "127.0.0.1:1"})
    items = iter([(b"key", Utterance(text="hello"))])
    with pytest.raises(RayError, match=r"can't be reached at '127\.0\.0\.1:1'"):
        list(Engine(run, own_process=True).run(lambda: TextExtractor(params.text), items))
