"""The layouts that `ingest.layout` may name, each with the function that reads it.

Functions are named and not imported, so that every stage can check params.yaml without depending on their code.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class KnownCorpus:
    """A corpus that is known by name.

    Attributes:
        title: what its authors call it.
        licence: its terms, which bind what is learnt from it.
        languages: that are spoken in it.
        synthetic: whether nobody in it is real.
    """

    title: str
    licence: str
    languages: tuple[str, ...] = ("English",)
    synthetic: bool = False


IEMOCAP = KnownCorpus("IEMOCAP", "for research, by request: https://sail.usc.edu/iemocap")
CORPORA = {
    "demo": KnownCorpus("the built-in corpus", "Apache-2.0, as the code that makes it", synthetic=True),
    "meld": KnownCorpus("MELD", "GPL-3.0: https://github.com/declare-lab/MELD"),
    "ravdess": KnownCorpus(
        "RAVDESS",
        "CC BY-NC-SA 4.0, not for commercial use: https://creativecommons.org/licenses/by-nc-sa/4.0/",
    ),
    "crema_d": KnownCorpus(
        "CREMA-D",
        "Open Database License 1.0, contents under the Database Contents License 1.0: "
        "https://opendatacommons.org/licenses/odbl/1-0/",
    ),
    "emodb": KnownCorpus(
        "EMO-DB",
        "free to use, http://emodb.bilderbar.info; audEERING publishes it as CC0 1.0",
        ("German",),
    ),
    "savee": KnownCorpus("SAVEE", "for research, after registration: http://kahlan.eps.surrey.ac.uk/savee"),
    "tess": KnownCorpus(
        "TESS",
        "CC BY-NC-ND 4.0, not for commercial use and not to be passed on changed: https://doi.org/10.5683/SP2/E8H2MF",
    ),
    "iemocap": IEMOCAP,
    "iemocap_six": IEMOCAP,
    "emorynlp": KnownCorpus("EmoryNLP", "Apache-2.0: https://github.com/emorynlp/emotion-detection"),
}
# Of these `ingest.set` names the test rows.
WITH_SETS = ("ravdess", "crema_d", "emodb", "savee", "tess", "iemocap", "iemocap_six")
