"""What an utterance's features depend on: the bytes of its clip, or its words. Nothing heavy is imported here."""

from __future__ import annotations

import hashlib

from emofuse.core.errors import MediaError
from emofuse.core.params import TextParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.remote import opened

NO_TEXT = Extracted(None, Cause(Reason.NO_TEXT))


def text_of(utterance: Utterance, params: TextParams) -> str:
    """The words that the text extractor reads; empty where there are none."""
    return utterance.clean_text if params.source == "clean" else utterance.text.strip()


def text_content(params: TextParams, utterance: Utterance) -> bytes | Extracted:
    """The words as bytes, or the answer where there are none."""
    words = text_of(utterance, params)
    if not words:
        return NO_TEXT
    seen = f"{words}\0{utterance.text}" if "cues" in params.groups else words  # cues are taken from the raw text
    return seen.encode("utf-8", "surrogatepass")


def clip_content(utterance: Utterance) -> bytes | Extracted:
    """The sha256 of the clip, or the answer where there is no clip to read."""
    if utterance.clip is None and utterance.url is None:
        return Extracted(None, utterance.clip_reason)
    try:
        with opened(utterance) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except MediaError as error:
        return Extracted(None, error.cause)
