"""Files that come as text in JSON."""

from __future__ import annotations

import binascii
import re
from typing import Any

DATA_URL = re.compile(r"data:[^,]*,", re.IGNORECASE)
SEND = "send standard base64 (base64 -w0 clip.mp4), or the clip as multipart/form-data"


def decoded(text: Any) -> Any:
    """The bytes of standard base64 (RFC 4648, lines may end), also as a data URL (RFC 2397); what is no text stays.

    Raises:
        ValueError: it is something else, of which a lenient decoder would lose a part.
    """
    if not isinstance(text, str):
        return text
    head = DATA_URL.match(text)
    if head is not None and not head.group().lower().endswith(";base64,"):
        raise ValueError(f"Base64 decoding error: found a data URL without ;base64 ({text[:40]!r}); {SEND}")
    body = text[head.end() :] if head else text
    outside = re.search(r"[^A-Za-z0-9+/=\r\n]", body)
    if outside is not None:
        at = outside.start() + len(text) - len(body)
        kind = ", which only URL-safe base64 has" if outside.group() in "-_" else ""
        raise ValueError(f"Base64 decoding error: found {outside.group()!r} at character {at}{kind}; {SEND}")
    try:
        return binascii.a2b_base64(re.sub(r"[\r\n]", "", body), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"Base64 decoding error: {str(error).lower()}, perhaps cut short; {SEND}") from None
