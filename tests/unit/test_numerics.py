"""The same bytes whatever the batch, the threads and the workers, on the machine that the tests run on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from emofuse.core import numerics
from emofuse.core.linear import Linear, through_onednn
from emofuse.core.params import Params
from emofuse.core.records import Extracted, FeatureTable, Utterance
from emofuse.features.text.extractor import TextExtractor
from emofuse.fusion.base import WideDropout
from emofuse.inference.predictor import Predictor
from tests.pipeline.imports import ROOT

BATCHES, THREADS = (1, 7, 64), (1, 2, 4)
LINES = [
    " ".join(["well", "I", "never", "said", "that", "you", "are", "late", "again"][: 1 + n % 9]) for n in range(64)
]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", THREADS)
@pytest.mark.parametrize(("inputs", "outputs"), [(384, 1536), (1536, 384), (37, 7), (64, 1)])
def test_a_row_and_its_gradients_are_the_same_in_every_batch(count: int, inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    layer, rows = Linear(inputs, outputs), torch.randn(64, inputs)
    torch.set_num_threads(1)
    whole = layer(rows)
    torch.set_num_threads(count)
    for size in BATCHES:
        values = rows[:size].clone().requires_grad_()
        part = layer(values)
        assert torch.equal(part, whole[:size])
        (gradient,) = torch.autograd.grad(part.sum(), values)
        alone = [torch.autograd.grad(layer(row[None]).sum(), row)[0] for row in values.detach().requires_grad_()]
        assert torch.equal(gradient, torch.stack(alone))


def test_a_linear_layer_is_torchs_own_to_rounding() -> None:
    torch.manual_seed(1)
    ours = through_onednn(nn.Sequential(nn.Linear(50, 20), nn.GELU(), nn.Linear(20, 3)))
    assert [type(part) for part in ours] == [Linear, nn.GELU, Linear]
    theirs = nn.Sequential(nn.Linear(50, 20), nn.GELU(), nn.Linear(20, 3))
    theirs.load_state_dict(ours.state_dict())
    values = torch.randn(2, 9, 50)
    torch.testing.assert_close(ours(values), theirs(values))
    assert ours(values[:, :0]).shape == (2, 0, 3)
    for mine, reference in zip(
        torch.autograd.grad(ours(values).square().sum(), list(ours.parameters())),
        torch.autograd.grad(theirs(values).square().sum(), list(theirs.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference)


@pytest.mark.parametrize("count", THREADS)
def test_a_texts_features_are_the_same_whatever_the_batch_and_the_threads(params: Params, count: int) -> None:
    extractor = TextExtractor(params.text)
    asked = [Utterance(text=line) for line in LINES]
    torch.set_num_threads(1)
    alone = np.stack(
        [row.values for line in asked[:9] for _, row in extractor.stream([line]) if row.values is not None]
    )
    torch.set_num_threads(count)
    for size in BATCHES[1:]:
        rows = dict(extractor.stream(asked[:size]))
        for number in range(size):
            np.testing.assert_array_equal(rows[number].values, alone[number % 9])


@pytest.mark.parametrize("count", THREADS)
def test_an_answer_is_the_same_whatever_the_batch_and_the_threads(bundle: Path, count: int) -> None:
    predictor = Predictor.load(bundle)
    generator = np.random.default_rng(0)
    tables = {
        modality: [Extracted(generator.normal(size=len(names)).astype(np.float32)) for _ in range(64)]
        for modality, names in predictor.bundle.features.items()
    }

    def answers(rows: slice) -> np.ndarray:
        features = predictor.bundle.features
        return predictor.probabilities({m: FeatureTable.stack(features[m], tables[m][rows]) for m in tables})[0]

    torch.set_num_threads(1)
    whole = answers(slice(0, 64))
    torch.set_num_threads(count)
    for size in BATCHES:
        for start in range(0, 64 - size + 1, size):
            np.testing.assert_array_equal(answers(slice(start, start + size)), whole[start : start + size])


def test_a_share_of_wide_inputs_is_dropped_and_the_others_make_up_for_it() -> None:
    torch.manual_seed(0)
    dropped = (drop := WideDropout(0.2))(torch.ones(300, 1001))
    assert ((dropped == 0) | (dropped == 1.25)).all()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)
    assert dropped.mean(dim=0).std().item() < 0.05
    assert torch.equal(drop.eval()(torch.ones(3, 5)), torch.ones(3, 5))


def run(code: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=path | env, capture_output=True, text=True, check=False
    )


PIN = "from emofuse.core.numerics import pin, current; import os; pin(); "


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("numerics: native", "native"),
        ("numerics: portable", "portable"),
        ("numerics: [", "portable"),
        ("- 1", "portable"),
        (None, "portable"),
    ],
)
def test_the_mode_is_that_of_params(tmp_path: Path, written: str | None, mode: str) -> None:
    if written:
        (tmp_path / "params.yaml").write_text(written)
    assert run(PIN + "print(current())", tmp_path).stdout == f"{mode}\n"


def test_children_inherit_the_mode_of_their_parent(tmp_path: Path) -> None:
    assert run(PIN + "print(current())", tmp_path, EMOFUSE_NUMERICS="native").stdout == "native\n"


@pytest.mark.parametrize(("parent", "mode"), [("portable", "native"), ("native", "portable")])
def test_nothing_that_a_parent_pinned_to_the_other_mode_stays(tmp_path: Path, parent: str, mode: str) -> None:
    (tmp_path / "params.yaml").write_text(f"numerics: {mode}")
    code = PIN + f"from emofuse.core.numerics import MODES, variables; expected = variables({mode!r}); "
    code += "print({n for m in MODES for n in variables(m)} & set(os.environ) == set(expected), current())"
    done = run(code, tmp_path, MKL_VERBOSE="0", **numerics.variables(parent))
    assert done.stdout == f"True {mode}\n", done.stderr


def test_a_kernel_that_a_user_chose_holds_in_native(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("numerics: native")
    done = run(PIN + "print(os.environ['ATEN_CPU_CAPABILITY'])", tmp_path, ATEN_CPU_CAPABILITY="default")
    assert done.stdout == "default\n", done.stderr


@pytest.mark.parametrize("level", ["default", "avx2"])
def test_what_a_user_has_set_does_not_loosen_portable(tmp_path: Path, level: str) -> None:
    code = PIN + "import torch; print(torch.backends.cpu.get_cpu_capability())"
    assert run(code, tmp_path, ATEN_CPU_CAPABILITY=level).stdout == "AVX2\n"


def test_a_pin_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    done = run("import numpy; " + PIN, tmp_path)
    assert "found numpy loaded before numerics were pinned to 'portable'" in done.stderr
    assert run(PIN + "import numpy; pin()", tmp_path).returncode == 0


def test_what_pins_loads_nothing_numeric(tmp_path: Path) -> None:
    done = run(PIN + f"import sys; print(set({numerics.LIBRARIES}) & set(sys.modules))", tmp_path)
    assert done.stdout == "set()\n", done.stderr


def test_native_features_are_told_apart_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(numerics.MODE, "portable")
    assert numerics.numerics_identity() == "portable"
    monkeypatch.setenv(numerics.MODE, "native")
    here = numerics.numerics_identity()
    monkeypatch.setattr(numerics, "processor", lambda: "x86_64 another")
    assert here != numerics.numerics_identity()


def test_portable_says_what_it_cannot_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerics.platform, "machine", lambda: "aarch64")
    assert "this is Linux on aarch64" in (numerics.promise("portable") or "")
    assert numerics.promise("native") is None
    monkeypatch.setattr(numerics.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(numerics, "processor", lambda: "x86_64 Old avx")
    assert "lacks avx2 and fma" in (numerics.promise("portable") or "")


def test_a_pinned_process_is_counted_by_neither_mlflow_nor_bentoml() -> None:
    code = """from emofuse.core.numerics import pin
pin()
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from mlflow.telemetry.utils import is_telemetry_disabled
from ray._common.usage.usage_lib import usage_stats_enabled
print(do_not_track(), is_telemetry_disabled(), usage_stats_enabled())
"""
    # Without what make sets, and what MLflow takes for a test.
    unset = ("DO_NOT_TRACK", "BENTOML_DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED", "CI")
    env = {name: value for name, value in os.environ.items() if name not in unset and not name.startswith("PYTEST")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
