"""What is made of strings before they are compared: words cleaned, names in one form."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans({"‘": "'", "’": "'", "\x91": "'", "\x92": "'", "´": "'", "`": "'"})
_SPECIAL = re.compile(r"[^\w\s']|_")
_LOOSE_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")
# Control characters, marks of direction and of zero width, selectors of an emoji's look. Joiners are letters to scripts
# such as Persian and Hindi, and to emoji: they go where a neighbour is of a script that has no use for them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff]"
    r"|(?<![\u0600-\u1fff\u2030-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0600-\u1fff\u2030-\U0010ffff])"
)


def clean_text(text: str) -> str:
    """Lower-case a text and remove its special characters, as the original system did.

    Letters and digits of any script stay, and so does the apostrophe inside a word, without which "we're" and "were"
    would become one word.

    >>> clean_text("Oh my God, he’s lost it!!")
    "oh my god he's lost it"
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text).translate(_QUOTES)).lower()
    text = _LOOSE_QUOTE.sub(" ", _SPECIAL.sub(" ", text))
    return " ".join(text.split())


def normal_form(name: str) -> str:
    """A name as it is compared: in Unicode's composed form, without invisible signs, its words one space apart.

    >>> normal_form(" U\\u0308ber\\u200b  all ")
    'Über all'
    """
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).split())


def normal_label(name: str) -> str:
    """A label as it is compared: in normal form and lower case.

    >>> normal_label("U\\u0308BER")
    'über'
    """
    return normal_form(normal_form(name).lower())
