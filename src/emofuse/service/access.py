"""Who may ask, and how often."""

from __future__ import annotations

KEYS = "EMOFUSE_API_KEYS"  # comma separated; anyone may ask where there are none
