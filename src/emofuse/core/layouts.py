"""The layouts that `ingest.layout` may name, each with the function that reads it.

Functions are named and not imported, so that every stage can check params.yaml without depending on their code.
"""

from __future__ import annotations

LAYOUTS = {
    "demo": "emofuse.datasets.meld:read_meld",  # the built-in corpus is written in MELD's layout
    "meld": "emofuse.datasets.meld:read_meld",
    "hackathon": "emofuse.datasets.hackathon:read_hackathon",
    "table": "emofuse.datasets.table:read_any_table",
    "folders": "emofuse.datasets.folders:read_folders",
    "ravdess": "emofuse.datasets.ravdess:read_ravdess",
    "crema_d": "emofuse.datasets.crema_d:read_crema_d",
    "emodb": "emofuse.datasets.emodb:read_emodb",
    "savee": "emofuse.datasets.savee:read_savee",
    "tess": "emofuse.datasets.tess:read_tess",
    "iemocap": "emofuse.datasets.iemocap:read_iemocap",
    "iemocap_six": "emofuse.datasets.iemocap:read_iemocap_six",
    "emorynlp": "emofuse.datasets.emorynlp:read_emorynlp",
}
# Of these `ingest.set` names the test rows.
WITH_SETS = ("ravdess", "crema_d", "emodb", "savee", "tess", "iemocap", "iemocap_six")
