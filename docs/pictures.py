"""Take the pictures of MLflow's and DVC's pages that the README shows, in a real browser: `make pictures`.

They show the last `dvc repro` and the runs that it tracked. It needs Chromium, and is apart from `make docs` for that.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import vl_convert
from mlflow.tracking import MlflowClient
from PIL import Image
from playwright.sync_api import Browser, Route, sync_playwright

from emofuse.core.errors import DataError, guard
from emofuse.tracking import EXPERIMENT, LOCAL_STORE

IMAGES = Path("docs/images")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
COMPARED = ("text", "late", "ensemble")
CHARTS = "^(dev|test)/(accuracy|weighted_f1|macro_f1)$"
PLOTS = (
    "Held-out weighted F1, mean over folds",
    "Accuracy by the share of rows answered, the most confident first",
    "Weighted F1 from each subset of the modalities",
    "Confusion, test",
)
COLORS = 256  # with fewer, a thin line of a legend takes the colour of another


def main() -> None:
    """Write docs/images/mlflow.png and docs/images/plots.png."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise DataError(f"found no browser, expected one of {', '.join(PROGRAMS)}; on Debian `apt install chromium`")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        _save(IMAGES / "mlflow.png", runs_compared(browser))
        _save(IMAGES / "plots.png", plots_shown(browser))
        browser.close()


def runs_compared(browser: Browser) -> bytes:
    """MLflow's charts of the newest runs of `COMPARED`, as a user sees them who ticks these runs."""
    store = os.environ.get("MLFLOW_TRACKING_URI") or LOCAL_STORE
    client = MlflowClient(store)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise DataError(f"{store}: found no experiment {EXPERIMENT}; run `dvc repro`, which makes it")
    newest: dict[str, str] = {}
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"]):
        newest.setdefault(run.info.run_name, run.info.run_id)
    missing = [name for name in COMPARED if name not in newest]
    if missing:
        raise DataError(f"{store}: found no run of {', '.join(missing)}; run `dvc repro -f -s package`")
    chosen = ", ".join(f"'{newest[name]}'" for name in COMPARED)
    page = browser.new_page(viewport={"width": 1600, "height": 1130})
    with mlflow_ui(store) as address:
        filtered = quote(f"attributes.run_id IN ({chosen})")
        page.goto(
            f"{address}/#/experiments/{experiment.experiment_id}/runs?compareRunsMode=CHART&searchFilter={filtered}"
        )
        page.get_by_placeholder("Search metric charts").fill(CHARTS)
        page.get_by_text("test/weighted_f1").wait_for()
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot .bars').length >= 6")
        if page.get_by_label("Close").count():  # of the panel that a first visit opens
            page.get_by_label("Close").last.click()
        page.wait_for_timeout(2000)  # bars grow to their length
        return page.screenshot()


@contextmanager
def mlflow_ui(store: str) -> Iterator[str]:
    """MLflow's pages of a store, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store, "--workers", "1", *where]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet = subprocess.DEVNULL
    # It starts processes of its own, which end with its group.
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        for _ in range(240):
            try:
                urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except URLError:
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def plots_shown(browser: Browser) -> bytes:
    """The page that `dvc plots show` writes, with the first of its plots."""
    # The page fetches Vega from a CDN; here a package gives it, so that no network is needed.
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")

    def given(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body=vega if "vega-embed" in route.request.url else "")

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dvc", "plots", "show", *PLOTS, "-o", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DataError(f"`dvc plots show` failed: {done.stderr.strip()}; run `dvc repro`, which makes its files")
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        page.route("https://cdn.jsdelivr.net/**", given)
        page.goto((Path(folder) / "index.html").as_uri())
        page.wait_for_function(f"document.querySelectorAll('canvas, svg.marks').length >= {len(PLOTS)}")
        page.add_style_tag(content="details { display: none; }")  # the menu of each plot
        return page.screenshot(full_page=True)


def _save(path: Path, picture: bytes) -> None:
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    with guard():
        main()
