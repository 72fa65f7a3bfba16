"""The whole pipeline on a small corpus, run as its user would run it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from tests.browser import browser
from tests.pipeline.checkout import AUTHOR, Checkout, served
from tests.pipeline.imports import ROOT

pytestmark = pytest.mark.slow  # whole runs of eighteen stages


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    done = checkout.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout


def test_metrics_hold_every_model_and_a_champion_chosen_on_dev(checkout: Checkout) -> None:
    metrics = json.loads(checkout.read("reports/metrics.json"))
    champion = metrics.pop("champion")
    assert set(metrics) == {"ensemble", "early", "late", "attention", "text", "audio", "visual", "metadata", "majority"}
    for scores in metrics.values():
        assert set(scores) == {"dev", "test"}
        assert set(scores["dev"]) == {"accuracy", "weighted_f1", "macro_f1", "unweighted_recall"}
    served = {name: scores["dev"]["weighted_f1"] for name, scores in metrics.items() if name != "majority"}
    assert served[champion] == max(served.values())
    assert checkout.read("models/champion/bundle.json") == checkout.read(f"models/{champion}/bundle.json")


def test_metrics_are_those_of_the_predictions(checkout: Checkout) -> None:
    metrics = json.loads(checkout.read("reports/metrics.json"))
    predictions = pd.read_parquet(checkout.folder / "reports/predictions.parquet")
    rows = predictions[(predictions["model"] == "late") & (predictions["split"] == "test")]
    assert (rows["label"] == rows["predicted"]).mean() == pytest.approx(metrics["late"]["test"]["accuracy"])


def test_the_notebook_of_the_readme_gives_the_scores_of_the_pipeline(checkout: Checkout) -> None:
    code = re.search(r"<!-- notebook -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code
    done = checkout.run("python", "-c", code[1])
    assert done.returncode == 0, done.stderr
    metrics = json.loads(checkout.read("reports/metrics.json"))
    champion = metrics.pop("champion")
    for name, scores in metrics.items():
        dev, test = (f"{scores[split]['weighted_f1']:.3f}" for split in ("dev", "test"))
        mark = "  champion" if name == champion else ""
        others = " +".join(f"{scores['test'][metric]:.3f}" for metric in ("accuracy", "unweighted_recall"))
        assert re.search(rf"^{name} +{dev} +{test} +{others}{mark}$", done.stdout, re.MULTILINE)
    mine, served = (json.loads(checkout.read(f"models/{name}/bundle.json")) for name in ("mine", "champion"))
    assert mine == served
    shutil.rmtree(checkout.folder / "models/mine")


def test_second_run_does_nothing(checkout: Checkout) -> None:
    lock = checkout.read("dvc.lock")
    done = checkout.run("dvc", "repro")
    assert "Data and pipelines are up to date" in done.stdout
    assert checkout.read("dvc.lock") == lock


def files(folder: Path) -> dict[str, bytes]:
    paths = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# Of the others corpus needs nothing, and package writes to stores outside of the project.
READERS = (
    "ingest", "finetune", "text", "audio", "visual", "metadata", "data_report", "scale", "train", "tune", "ensemble",
    "evaluate", "report", "submit",
)  # fmt: skip


@pytest.mark.parametrize("stage", READERS)
def test_a_stage_needs_nothing_that_it_does_not_name(checkout: Checkout, stage: str, tmp_path: Path) -> None:
    described = yaml.safe_load(checkout.read("dvc.yaml"))["stages"][stage]
    for name in ("params.yaml", "stages/__init__.py", "src/emofuse/__init__.py", *described["deps"]):
        source = checkout.folder / name.replace("${ingest.root}", "data/corpus")
        target = tmp_path / source.relative_to(checkout.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    env = checkout.env | {"PYTHONPATH": f"{tmp_path / 'src'}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-m", f"stages.{stage}"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for out in described["outs"]:
        name = out if isinstance(out, str) else next(iter(out))
        assert files(tmp_path / name) == files(checkout.folder / name), name


def test_no_out_holds_a_path_of_this_machine(checkout: Checkout) -> None:
    for folder in ("data", "features", "scalers", "models", "reports"):
        for path in (checkout.folder / folder).rglob("*"):
            assert path.is_dir() or str(checkout.folder).encode() not in path.read_bytes(), path


def test_dvc_shows_metrics_and_plots(checkout: Checkout) -> None:
    shown = checkout.run("dvc", "metrics", "show")
    assert re.search(r"reports/metrics/late\.json +0\.\d+", shown.stdout), shown.stdout + shown.stderr
    plots = checkout.run("dvc", "plots", "show")
    assert plots.returncode == 0, plots.stderr
    page = checkout.read("dvc_plots/index.html").decode()
    assert "held_out_weighted_f1" in page
    for name in ("Loss", "Confusion, test", "subset of the modalities", "Reliability"):
        assert name in page


def test_the_report_is_one_page_that_a_browser_shows_without_a_request_or_an_error(checkout: Checkout) -> None:
    page = checkout.folder / "reports/report.html"
    assert page.stat().st_size < 3 * 2**20
    with browser() as chromium:
        for width in (400, 1600):
            said: list[str] = []
            asked: list[str] = []
            tab = chromium.new_page(viewport={"width": width, "height": 900})
            tab.on("console", lambda message, said=said: said.append(message.text))
            tab.on("pageerror", lambda error, said=said: said.append(str(error)))
            tab.on("request", lambda request, asked=asked: asked.append(request.url))
            tab.goto(page.as_uri())
            tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            assert said == []
            assert [address for address in asked if not address.startswith("data:")] == [page.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_the_champion_carries_its_card(checkout: Checkout) -> None:
    card = checkout.read("models/champion/model_card.md")
    assert card == checkout.read("reports/model_card.md")
    assert json.loads(checkout.read("reports/champion.json"))["bundle"] in card.decode()


def test_a_revision_a_bundle_and_a_tracked_run_are_compared(checkout: Checkout) -> None:
    checkout.run("git", "add", "--all")
    assert checkout.run("git", *AUTHOR, "commit", "--quiet", "--allow-empty", "--message", "run").returncode == 0
    client = MlflowClient(f"sqlite:///{checkout.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("emofuse").experiment_id
    run, *_ = client.search_runs([experiment], "tags.`emofuse.model` = 'text'")
    sources = ("HEAD:early", "models/late", run.info.run_id)
    done = checkout.run("emofuse", "compare", *sources, "--split", "dev", "--html", "comparison.html")
    assert done.returncode == 0, done.stderr
    page = checkout.read("comparison.html").decode()
    metrics = json.loads(checkout.read("reports/metrics.json"))
    for name in ("early", "late", "text"):
        assert f"{metrics[name]['dev']['weighted_f1']:.3f}" in page
    (checkout.folder / "comparison.html").unlink()


def test_mistakes_in_params_stop_before_anything_runs(checkout: Checkout) -> None:
    before = checkout.read("params.yaml"), checkout.read("dvc.lock")
    try:
        checkout.params(train={"epochs": 0, "folds": "five"}, visual={"fps": -1})
        done = checkout.run("dvc", "repro")
        assert done.returncode != 0
        assert "3 mistakes; nothing was run" in done.stderr
        for name in ("train.epochs", "train.folds", "visual.fps"):
            assert name in done.stderr
        assert "Traceback" not in done.stderr
        assert checkout.read("dvc.lock") == before[1]
    finally:
        (checkout.folder / "params.yaml").write_bytes(before[0])
    # DVC takes a stage's outs away before the stage can refuse; with the mistakes mended they come back.
    again = checkout.run("dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Running stage" not in again.stdout
    assert checkout.read("dvc.lock") == before[1]


def test_a_data_root_that_is_not_there_is_named(checkout: Checkout) -> None:
    before = checkout.read("params.yaml")
    try:
        checkout.params(ingest={"layout": "meld", "root": "nowhere"})
        done = checkout.run("python", "-m", "stages.ingest")
        assert done.returncode == 2
        assert "nowhere: no such folder; set ingest.root" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        (checkout.folder / "params.yaml").write_bytes(before)


def assert_same_answers(checkout: Checkout, client: httpx.Client) -> None:
    """The service gives the evaluate stage's probabilities for clips of the test split."""
    manifest = pd.read_parquet(checkout.folder / "data/manifest.parquet")
    predictions = pd.read_parquet(checkout.folder / "reports/predictions.parquet")
    champion = json.loads(checkout.read("reports/metrics.json"))["champion"]
    rows = manifest[(manifest["split"] == "test") & manifest["clip"].notna()].merge(
        predictions[predictions["model"] == champion], on=["split", "dialogue", "utterance"]
    )
    compared = 0
    for row in rows.to_dict("records"):
        context = json.dumps({"position": row["position"], "dialogue_length": row["dialogue_length"]})
        with (checkout.folder / "data/corpus" / row["clip"]).open("rb") as clip:
            answer = client.post("/predict", files={"video": clip}, data={"utterance": row["text"], "context": context})
        if answer.status_code == 422:  # a clip that the corpus broke on purpose
            assert "can't be decoded" in answer.json()["error"]
            continue
        for label, probability in answer.json()["probabilities"].items():
            assert probability == pytest.approx(row[f"p_{label}"], abs=1e-5)
        compared += 1
    assert compared >= 3


def test_bentoml_serves_the_evaluated_champion(checkout: Checkout) -> None:
    with served(checkout, checkout.folder, ".") as client:
        assert_same_answers(checkout, client)
        requests: list[dict[str, Any]] = [{"files": {"video": b"no video"}}, {"files": {"video": b""}}, {"json": {}}]
        for bad in requests:
            answer = client.post("/predict", **bad)
            assert 400 <= answer.status_code < 500
            assert answer.json()["error"]
        assert client.post("/predict", json={"utterance": "still alive"}).status_code == 200


def test_a_bento_served_elsewhere_gives_the_same_answers(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = checkout.run("bentoml", "build", "--output", "tag")
    assert built.returncode == 0, built.stdout + built.stderr
    tag = re.search(r"emofuse:\w+", built.stdout)
    assert tag
    monkeypatch.delitem(checkout.env, "PYTHONPATH")  # the Bento brings its own code
    with served(checkout, tmp_path, tag.group()) as client:
        assert_same_answers(checkout, client)


def test_the_champion_is_deployed_in_one_command(checkout: Checkout) -> None:
    done = checkout.run("emofuse", "deploy")
    assert re.search(r"emofuse:\w+ is ready", done.stdout), done.stdout + done.stderr
    back = checkout.run("emofuse", "deploy", "--back")
    assert back.returncode == 2
    assert "found no version before 1" in back.stderr


def whole_clip(checkout: Checkout) -> bytes:
    """A clip that the corpus did not break on purpose: the largest."""
    return max((checkout.folder / "data/corpus").rglob("*.mp4"), key=lambda path: path.stat().st_size).read_bytes()


def test_the_log_holds_nothing_of_an_upload(checkout: Checkout) -> None:
    clip = whole_clip(checkout)
    transcript = "1\n00:00:00,000 --> 00:00:02,000\nhush-line\n"
    told = {"utterance": "hush-words", "context": '{"lines": [{"text": "hush-line", "speaker": "hush-name"}]}'}
    with served(checkout, checkout.folder, ".", "quiet.log") as client:
        for video in (clip, clip[: len(clip) // 2], b"hush-bytes", b""):
            files = {"video": ("hush-file.mp4", video)}
            client.post("/predict", files=files, data=told)
            client.post("/timeline", files=files, data={"transcript": transcript})
            client.post("/predict_batch", files={"hush-part": video}, data={"items": '[{"video": "hush-part"}]'})
        client.post("/predict", files={"hush-field": b""})
        client.post("/predict", content=b'{"hush-key": 1}', headers={"content-type": "application/json"})
        client.post("/predict", content=b"hush-junk", headers={"content-type": "multipart/form-data; boundary=b"})
    log = checkout.read("quiet.log").decode()
    assert log.count("/predict_batch") >= 4
    for hidden in ("hush-", "boundary character", "emofuse-serve-", "Traceback"):
        assert hidden not in log


def test_outs_are_the_same_to_the_byte_when_made_anew(checkout: Checkout) -> None:
    lock = checkout.read("dvc.lock")
    for name in (
        "data",
        "features",
        "scalers",
        "models",
        "reports",
        ".cache",
        ".dvc/cache",
        "mlflow.db",
        "mlartifacts",
    ):
        path = checkout.folder / name
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    done = checkout.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.read("dvc.lock") == lock
    assert "Stage 'package' is cached" not in done.stdout  # nothing would be tracked
    assert (checkout.folder / "mlflow.db").is_file()


def deployed(checkout: Checkout, *options: str) -> str:
    """The tag of the Bento that `emofuse deploy` gives."""
    done = checkout.run("emofuse", "deploy", *options)
    found = re.search(r"(emofuse:\w+) is ready", done.stdout)
    assert found, done.stdout + done.stderr
    return found[1]


def test_a_new_bento_takes_over_without_a_failed_request_and_one_command_goes_back(
    checkout: Checkout, tmp_path: Path
) -> None:
    old = deployed(checkout)
    checkout.params(train={"epochs": 5})
    assert checkout.run("dvc", "repro").returncode == 0
    new = deployed(checkout)
    with served(checkout, tmp_path, new, "new.log") as after:
        assert_switches(checkout, tmp_path, old, after)
    bentos = checkout.run("bentoml", "list", "emofuse", "--output", "json").stdout
    assert deployed(checkout, "--back") == old
    assert checkout.run("bentoml", "list", "emofuse", "--output", "json").stdout == bentos  # it was there still


def assert_switches(checkout: Checkout, folder: Path, old: str, after: httpx.Client) -> None:
    """The old Bento is started, asked, left for the new one, and ended while a request is on its way."""
    front, done, ending = [""], threading.Event(), threading.Event()
    said = b'{"utterance": "Oh, no."}'
    kind = {"content-type": "application/json"}

    def asked(content: bytes | Iterator[bytes]) -> tuple[int, str]:
        answer = httpx.post(f"{front[0]}/predict", content=content, headers=kind, timeout=60)
        return answer.status_code, answer.json()["version"]

    def ask() -> Counter[tuple[int, str]]:
        """A client of a proxy, until all is done: what it got, by status and version of the bundle."""
        got: Counter[tuple[int, str]] = Counter()
        while not done.is_set():
            got[asked(said)] += 1
        return got

    def slowly() -> Iterator[bytes]:
        yield said[:9]
        ending.wait(60)
        time.sleep(2)  # the service has been told to end by now
        yield said[9:]

    with ThreadPoolExecutor(4) as pool:
        try:
            with served(checkout, folder, old, "old.log") as before:
                front[0] = str(before.base_url)
                asking = [pool.submit(ask) for _ in range(3)]
                slow = pool.submit(asked, slowly())
                wait(asking, 2)
                front[0] = str(after.base_url)
                wait(asking, 1)  # connections that are being opened reach the old one still
                ending.set()
            wait(asking, 1)
        finally:
            done.set()
        got = sum((one.result() for one in asking), Counter())
        assert slow.result() in got
    assert {status for status, _ in got} == {200}
    assert len({version for _, version in got}) == 2
