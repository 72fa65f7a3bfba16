"""Cleaning of what was said."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans({"‘": "'", "’": "'", "\x91": "'", "\x92": "'", "´": "'", "`": "'"})
_SPECIAL = re.compile(r"[^\w\s']|_")
_LOOSE_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")


def clean_text(text: str) -> str:
    """Lower-case a text and remove its special characters, as the original system did.

    Letters and digits of any script stay, and so does the apostrophe inside a word, without which "we're" and "were"
    would become one word.

    >>> clean_text("Oh my God, he’s lost it!!")
    "oh my god he's lost it"
    """
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES).lower()
    text = _LOOSE_QUOTE.sub(" ", _SPECIAL.sub(" ", text))
    return " ".join(text.split())
