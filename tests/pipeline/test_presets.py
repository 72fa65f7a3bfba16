"""A preset in the pipeline, by the command that the README prints."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from emofuse.core.params import load_params
from tests.pipeline.checkout import AUTHOR, Checkout

STAGES = "data_report"  # and what it needs: all features


@pytest.mark.slow
def test_a_preset_is_an_experiment_that_leaves_its_params_in_place(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.run("git", "add", "--all")
    assert checkout.run("git", *AUTHOR, "commit", "--quiet", "--message", "start").returncode == 0
    command = f"dvc exp run $(emofuse preset original) -S text.encoder=embedded {STAGES}"
    done = checkout.run("sh", "-c", command)
    assert done.returncode == 0, done.stdout + done.stderr
    params = load_params(tmp_path / "params.yaml")
    assert (params.text.encoder, params.text.source, params.visual.detector) == ("embedded", "clean", "haar")
    names = {m: pq.read_schema(tmp_path / f"features/{m}.parquet").names[5:] for m in ("text", "audio", "visual")}
    assert {name.rsplit("_", 1)[0] for name in names["text"]} == {"text_l06_mean"}
    assert {name.rstrip("0123456789").split("_")[0].rstrip("0123456789") for name in names["audio"]} == {
        "zcr",
        "centroid",
        "mfcc",
    }
    assert "face_share_haar" in names["visual"] and len(names["visual"]) == 16 + 16 + 1
    assert checkout.run("git", "status", "--porcelain", "params.yaml").stdout == " M params.yaml\n"


def test_make_runs_a_preset_and_stops_where_there_is_none(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/.ready").touch()
    planned = checkout.run("make", "--dry-run", "repro", "PRESET=cpu").stdout
    assert "preset=$(emofuse preset cpu) && dvc exp run $preset" in planned
    assert "dvc repro" not in planned.split("dvc exp run")[0]
    done = checkout.run("make", "repro", "PRESET=nothing")
    assert done.returncode
    assert "nothing: no such preset; expected one of cpu, gpu-base, gpu-large, live, original" in done.stderr
    assert not (tmp_path / "data").exists()
