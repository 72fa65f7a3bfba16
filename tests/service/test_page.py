"""The page in a real browser, over a real server on loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest

from emofuse.core.params import Params
from emofuse.inference.predictor import Predictor
from emofuse.inference.subtitles import write_timeline
from emofuse.inference.transcript import parse_transcript, read_transcript
from emofuse.media.clip import FileClip
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served
from emofuse.transcription.voice_activity import RATE
from tests.clips import write_samples
from tests.conftest import write_clip
from tests.service.conftest import serving

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PATIENCE = 60_000  # milliseconds
SHOTS = os.environ.get("EMOFUSE_SHOTS")  # a folder for pictures of the page, to look at

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path; apt-get install chromium, or set CHROMIUM"),
]


@pytest.fixture(scope="module")
def camera(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a camera sees: the film, again and again, as motion JPEG."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with av.open(str(film)) as source, av.open(str(path), "w", format="mjpeg") as target:
        seen = target.add_stream("mjpeg", rate=24)
        seen.width, seen.height, seen.pix_fmt = 640, 360, "yuvj420p"
        for number, frame in enumerate(source.decode(video=0)):
            small = frame.reformat(640, 360, "yuvj420p")
            small.pts, small.time_base = number, Fraction(1, 24)
            target.mux(seen.encode(small))
        target.mux(seen.encode())
    return path


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[api.Browser]:
    with api.sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(params=[("light", 1280), ("dark", 360)], ids=["light-wide", "dark-narrow"])
def page(request: pytest.FixtureRequest, browser: api.Browser, address: str) -> Iterator[api.Page]:
    scheme, width = request.param
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 900}, permissions=["camera", "microphone"]
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(address)
    yield page
    if SHOTS:
        name = request.node.name.replace("[", "-").replace("]", "")
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:", "ws://127.0.0.1"))] == []
    assert [text for text in complaints if "status of 4" not in text] == []
    context.close()


@pytest.fixture(scope="module")
def film(clip: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "clip.mp4"
    path.write_bytes(clip)
    return path


def test_a_clip_and_a_text_are_answered(page: api.Page, film: Path) -> None:
    page.set_input_files("#file", film)
    page.get_by_label("What was said").fill("Oh, what a surprise!")
    page.get_by_role("button", name="Recognise").click()
    page.get_by_role("heading", name="The answer").wait_for()
    label = page.locator("#label").inner_text()
    assert page.locator("#status").inner_text().startswith(label)
    shares = page.locator("#classes td.number").all_inner_texts()
    assert sum(int(share.rstrip("%")) for share in shares) == pytest.approx(100, abs=len(shares))
    modalities = page.locator("#modalities tbody tr").all_inner_texts()
    assert {text.split()[0] for text in modalities} == {"text", "audio", "visual", "metadata"}
    assert any("absent: no dialogue context" in text for text in modalities)


def test_what_the_model_has_learnt_from_stands_under_its_title(page: api.Page) -> None:
    api.expect(page.locator("#learnt")).to_contain_text("the built-in corpus: 24 synthetic utterances")
    api.expect(page.locator("#synthetic")).to_contain_text("this shows how the service works, not what people feel")
    api.expect(page.locator("#synthetic")).to_be_visible()
    page.get_by_text("What it was measured on").click()
    for words in ("Trained on", "On meld:mine, 7 rows: weighted f1 0.250.", "of rows that were held out"):
        api.expect(page.locator("#measured")).to_contain_text(words)
    api.expect(page.locator("footer")).to_contain_text("learnt how drawn faces look and a synthetic voice speaks")


def test_an_input_unlike_all_of_that_is_marked(page: api.Page, tmp_path: Path) -> None:
    page.set_input_files("#file", write_clip(tmp_path / "a.wav", video=False, tone=3000.0, codec="pcm_s16le"))
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.locator("#unfamiliar")).to_contain_text("learnt from: audio", timeout=PATIENCE)


def placed(page: api.Page) -> dict[str, float]:
    """Where the box of the face is, as shares of the video's picture."""
    return dict(
        page.evaluate(
            """() => {
                const [video, face] = ["#shown", "#faces .speaker"].map((one) => document.querySelector(one));
                const [v, f] = [video, face].map((one) => one.getBoundingClientRect());
                const scale = Math.min(v.width / video.videoWidth, v.height / video.videoHeight);
                const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
                return {
                    left: (f.left - v.left - (v.width - width) / 2) / width,
                    top: (f.top - v.top - (v.height - height) / 2) / height,
                    width: f.width / width, height: f.height / height,
                };
            }"""
        )
    )


SEEK = """(time) => new Promise((done) => {
    const video = document.getElementById("shown");
    video.addEventListener("seeked", () => requestAnimationFrame(done), { once: true });
    video.currentTime = time;
})"""


def test_the_face_is_framed_at_the_moment_that_is_shown(page: api.Page, film: Path, address: str) -> None:
    answer = httpx.post(f"{address}predict", files={"video": film.read_bytes()}, timeout=60).json()
    faces: list[dict[str, float]] = answer["modalities"]["visual"]["faces"]
    page.set_input_files("#file", film)
    assert page.locator("#faces .face").count() == 0
    page.get_by_role("button", name="Recognise").click()
    page.get_by_text(f"found in {len(faces)} frames").wait_for()
    for face in (faces[0], faces[-1]):
        page.evaluate(SEEK, face.pop("time") + 0.05)
        assert placed(page) == pytest.approx(face, abs=0.02)


def test_a_long_video_gets_a_timeline(page: api.Page, tmp_path: Path) -> None:
    page.set_input_files("#file", write_clip(tmp_path / "a.mp4", seconds=6))
    page.get_by_text("Dialogue and films").click()
    page.get_by_label("Seconds of a window of a film").fill("2")
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.locator("#status")).to_contain_text("3 windows", timeout=PATIENCE)
    assert page.locator("#strip div").count() == 3
    page.locator("#windows button").nth(1).click()
    assert page.evaluate("document.getElementById('shown').currentTime") == 2
    api.expect(page.locator("#chart")).to_be_visible()
    assert page.locator("#chart rect").count() % 3 == 0 < page.locator("#chart rect").count()
    for kind, start in (("SVG", b"<svg "), ("PNG", b"\x89PNG")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=kind).click()
        assert Path(saved.value.path()).read_bytes().startswith(start)
    api.expect(page.locator("#hear")).to_be_hidden()  # this service hears no words


@pytest.fixture(scope="module")
def listening(bundle: Path, params: Params, uploads: Path) -> Iterator[str]:
    """Where a service answers that hears words."""
    limits = params.serve.model_copy(update={"recogniser": "embedded", "queue_seconds": 60.0})
    with serving(create_app(lambda: Served(Predictor.load(bundle)), limits)) as place:
        yield place


def values(table: str) -> list[list[str | float]]:
    """The cells of a CSV file."""
    return [[float(cell) if cell[:1].isdigit() else cell for cell in row] for row in csv.reader(io.StringIO(table))]


def saved(page: api.Page, name: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).click()
    return Path(download.value.path()).read_bytes().decode()


def test_who_says_what_stands_in_the_rows_and_in_what_is_saved(
    page: api.Page, listening: str, corpus: Path, tmp_path: Path
) -> None:
    page.goto(listening)
    speech = FileClip(corpus / "train_splits" / "dia0_utt0.mp4").sound(RATE)
    pause = np.zeros(RATE, np.float32)
    sound = np.concatenate([pause, speech, pause, speech, pause])
    page.set_input_files("#file", write_samples(tmp_path / "a.wav", sound[None], "pcm_s16le"))
    api.expect(page.locator("#who")).to_be_hidden()
    page.get_by_label("Hear the words").check()
    page.get_by_text("Dialogue and films").click()
    api.expect(page.get_by_label("How many speak")).to_be_hidden()
    page.get_by_label("Tell who speaks").check()
    page.get_by_label("How many speak").fill("1")
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.locator("#status")).to_contain_text("windows", timeout=PATIENCE)
    rows = page.locator("#windows small").all_inner_texts()
    assert len(rows) >= 2 and all("speaker 1: Heard" in row for row in rows)
    answers: list[dict[str, Any]] = json.loads(saved(page, "JSON"))
    assert len(answers) == len(rows)
    answers[0]["text"] += " {laughs}"
    page.evaluate("answers[0].text += ' {laughs}'")
    for kind in ("csv", "srt", "vtt"):
        write_timeline(tmp_path / f"a.{kind}", answers)
    table = saved(page, "CSV")
    assert values(table) == values((tmp_path / "a.csv").read_bytes().decode())
    for kind in ("srt", "vtt"):
        told = saved(page, kind.upper())
        assert parse_transcript(told).lines == read_transcript(tmp_path / f"a.{kind}").lines and "speaker 1" in told
    page.set_input_files("#file", write_samples(tmp_path / "b.wav", pause[None], "pcm_s16le"))
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.get_by_role("alert")).to_contain_text("No speech was heard", timeout=PATIENCE)
    api.expect(page.locator("#timeline")).to_be_hidden()
    page.get_by_label("How many speak").fill("500")
    page.get_by_label("Hear the words").uncheck()
    page.get_by_role("button", name="Recognise").click()
    page.get_by_role("heading", name="The answer").wait_for()


def test_a_camera_is_answered_while_it_runs(page: api.Page) -> None:
    page.get_by_role("button", name="Start camera").click()
    api.expect(page.locator("#status")).to_contain_text("ms behind", timeout=PATIENCE)
    api.expect(page.locator("#modalities")).to_contain_text("audio")
    page.locator("#faces .speaker").wait_for()
    assert 0 < placed(page)["left"] < placed(page)["left"] + placed(page)["width"] < 1
    page.get_by_role("button", name="Stop camera").click()
    page.get_by_role("button", name="Start camera").wait_for()


def test_an_answer_from_nothing_says_so(page: api.Page, tmp_path: Path) -> None:
    page.set_input_files("#file", write_clip(tmp_path / "a.mp4", tone=None))
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.locator("#score")).to_contain_text("nothing to answer from", timeout=PATIENCE)
    api.expect(page.locator("#status")).to_contain_text("nothing to answer from")


def test_what_is_wrong_is_told(page: api.Page, tmp_path: Path) -> None:
    page.get_by_role("button", name="Recognise").press("Enter")  # by keyboard alone
    api.expect(page.get_by_role("alert")).to_contain_text("send at least one of video", timeout=PATIENCE)
    junk = tmp_path / "a.mp4"
    junk.write_bytes(b"no clip")
    page.set_input_files("#file", junk)
    page.get_by_role("button", name="Recognise").click()
    api.expect(page.get_by_role("alert")).to_contain_text("can't be decoded", timeout=PATIENCE)
