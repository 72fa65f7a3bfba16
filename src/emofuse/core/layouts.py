"""The layouts that `ingest.layout` may name, each with the function that reads it.

Functions are named and not imported, so that every stage can check params.yaml without depending on their code.
"""

from __future__ import annotations

LAYOUTS = {
    "demo": "emofuse.datasets.meld:read_meld",  # the built-in corpus is written in MELD's layout
    "meld": "emofuse.datasets.meld:read_meld",
    "hackathon": "emofuse.datasets.hackathon:read_hackathon",
    "table": "emofuse.datasets.table:read_any_table",
}
