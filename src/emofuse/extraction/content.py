"""What an utterance's features depend on: the bytes of its clip, or its words. Nothing heavy is imported here."""

from __future__ import annotations

import hashlib
from pathlib import Path

from emofuse.core.errors import MediaError
from emofuse.core.hashes import FileHashes
from emofuse.core.params import TextParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.remote import opened, readable

NO_TEXT = Extracted(None, Cause(Reason.NO_TEXT))


def text_of(utterance: Utterance, params: TextParams) -> str:
    """The words that the text extractor reads; empty where there are none."""
    return utterance.clean_text if params.source == "clean" else utterance.text.strip()


def text_content(params: TextParams, utterance: Utterance, _: FileHashes) -> bytes | Extracted:
    """The words as bytes, or the answer where there are none."""
    words = text_of(utterance, params)
    if not words:
        return NO_TEXT
    read = f"{words}\0{utterance.text}" if "cues" in params.groups else words  # cues are taken from the raw text
    return read.encode("utf-8", "surrogatepass")


def clip_content(utterance: Utterance, hashes: FileHashes) -> bytes | Extracted:
    """The sha256 of the clip, or the answer where there is no clip to read.

    That of a clip which isn't on this machine is the one that was read with the table: it is fetched where it is looked
    at, and checked there.
    """
    if utterance.clip is None and utterance.url is None:
        return Extracted(None, utterance.clip_reason)
    if utterance.url is not None and utterance.sha256 is not None:
        return bytes.fromhex(utterance.sha256)
    try:
        if isinstance(utterance.clip, Path):
            with readable(utterance):
                return bytes.fromhex(hashes.sha256(utterance.clip))
        with opened(utterance) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except MediaError as error:
        return Extracted(None, error.cause)
