from __future__ import annotations

from pathlib import Path

import pytest

from emofuse.core.errors import DataError
from emofuse.inference.transcript import parse_transcript, read_transcript

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello\nthere.\n\n2\n00:00:03,000 --> 00:00:04,000\nHi.\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.500\nHello\nthere.\n\n00:03.000 --> 00:04.000\nHi.\n"
JSON = '[{"text": "Hi.", "start": 3, "end": 4}, {"text": "Hello there.", "start": 1, "end": 2.5, "speaker": "Ann"}]'


@pytest.mark.parametrize("text", [SRT, VTT, JSON])
def test_each_format_gives_the_same_lines(text: str) -> None:
    found = parse_transcript(text)
    assert [(line.text, line.start, line.end) for line in found.lines] == [("Hello there.", 1, 2.5), ("Hi.", 3, 4)]


def test_a_window_holds_what_was_said_in_it_and_what_came_before() -> None:
    found = parse_transcript(JSON)
    said = found.during(2.8, 4.8)
    assert (said.text, said.position, said.dialogue_length) == ("Hi.", 1, 2)
    assert [line.speaker for line in said.context] == ["Ann"]
    assert found.during(5, 6).text == ""
    assert len(found.during(5, 6).context) == 2


@pytest.mark.parametrize("text", ["hello", "[1]", '[{"text": "a", "start": 2, "end": 1}]', "[", "WEBVTT"])
def test_what_is_no_transcript_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DataError, match=r'expected SRT, VTT, or JSON: \[{"text"'):
        parse_transcript(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
@pytest.mark.parametrize(("text", "name"), [(SRT, "a.srt"), (VTT, "a.vtt"), (JSON, "a.json")])
def test_any_common_encoding_gives_the_same_lines(tmp_path: Path, encoding: str, text: str, name: str) -> None:
    (tmp_path / name).write_bytes(text.replace("Hi.", "Ça va, Zoë?").replace("\n", "\r\n").encode(encoding))
    lines = read_transcript(tmp_path / name).lines
    assert [(line.text, line.start) for line in lines] == [("Hello there.", 1), ("Ça va, Zoë?", 3)]


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"\0\1\2" * 9, "can't be read: found NUL bytes"), (b'[{"text": "a", "start": 1}]', "a line without times")],
)
def test_a_file_that_is_no_transcript_is_refused_with_its_name(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "a.srt").write_bytes(raw)
    with pytest.raises(DataError, match=rf"a\.srt: .*{message}"):
        read_transcript(tmp_path / "a.srt")
    with pytest.raises(DataError, match=r"b\.srt: can't be read"):
        read_transcript(tmp_path / "b.srt")


def test_an_empty_speaker_is_nobody() -> None:
    text = '[{"text": "Hi.", "start": 0, "end": 1, "speaker": ""}, {"text": "No.", "start": 2, "end": 3}]'
    assert [line.speaker for line in parse_transcript(text).lines] == [None, None]
