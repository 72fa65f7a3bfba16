"""Files as text: every byte that was sent arrives, or the sender is told what to send."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emofuse.service.encoded import decoded

DATA = bytes(range(256))
PLAIN = base64.b64encode(DATA).decode()


@given(
    st.binary(max_size=300), st.sampled_from(["", "data:;base64,", "data:audio/mpeg;base64,", "DATA:a/b;c=d;BASE64,"])
)
@example(DATA, "data:audio/wav;base64,")
def test_what_was_encoded_arrives_whole(data: bytes, head: str) -> None:
    assert decoded(head + base64.b64encode(data).decode()) == data
    assert decoded(head + base64.encodebytes(data).decode()) == data  # in lines, as MIME has it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (base64.urlsafe_b64encode(DATA).decode(), "found '-' at character .*, which only URL-safe base64 has"),
        (PLAIN.replace("/", "_"), "found '_' at character"),
        (PLAIN.replace("+", " "), "found ' ' at character"),
        (f" {PLAIN}", "found ' ' at character 0"),
        (f"junk!{PLAIN}", "found '!' at character 4"),
        (f"data:audio/wav;base64,{PLAIN[:8]}é", "found 'é' at character 30"),
        (f"data:audio/wav;base64,{PLAIN},{PLAIN}", "found ','"),
        (f"data:audio/wav,{PLAIN}", "found a data URL without ;base64"),
        ("data:text/plain;charset=utf-8,hello", "found a data URL without ;base64"),
        ("data:audio/wav;base64", "found ':' at character 4"),
        (PLAIN[:-1], "perhaps cut short"),
        (PLAIN[:-3], "perhaps cut short"),
        (f"{PLAIN}{PLAIN}", "Base64 decoding error"),
        (f"={PLAIN}", "Base64 decoding error"),
    ],
)
def test_what_would_lose_bytes_is_refused_with_what_to_send(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        decoded(text)
    assert "send standard base64" in str(refused.value)


@pytest.mark.parametrize("value", [None, 7, b"bytes", ["a"]])
def test_what_is_no_text_is_left_to_its_type(value: Any) -> None:
    assert decoded(value) is value
