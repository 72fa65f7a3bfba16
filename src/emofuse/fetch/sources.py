"""Where corpora are published, under what licence, and what is known of their files."""

from __future__ import annotations

from dataclasses import dataclass

from emofuse.core.layouts import CORPORA

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar")
EMOBOX = "https://raw.githubusercontent.com/emo-box/EmoBox/fdc57b07574ee03ac9e6e952d51ce0df374e0303/data"
ZENODO = "https://zenodo.org/records/1188976/files"
CREMA_D = "d15eeed6a139e9724483ed9a2fc4643f88708b79"  # commit of the authors' own mirror
MIRROR = "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/archive"


@dataclass(frozen=True)
class Remote:
    """A file to bring.

    Attributes:
        url: its address.
        path: what it is kept as below the data root; an archive becomes a folder of that name without its suffix.
        checksum: `md5:...` or `sha256:...` as its publisher gives it; None where none could be found.
    """

    url: str
    path: str
    checksum: str | None = None

    @property
    def local(self) -> str:
        """The name of the file itself, before it is put in its place."""
        return self.path.replace("/", "_")

    @property
    def target(self) -> str:
        """What it becomes below the data root."""
        return next((self.path.removesuffix(end) for end in ARCHIVES if self.path.endswith(end)), self.path)


@dataclass(frozen=True)
class Source:
    """A published corpus.

    Attributes:
        title: what its authors call it, and whom to cite.
        layout: of `ingest.layout`.
        files: what is brought; none where its authors give it on request alone.
        checksums: where those of the files come from.
        record: of Zenodo's interface, where it lists the MD5 of each file; asked for files without a checksum here.
        ask: where to ask for it.
    """

    title: str
    layout: str
    files: tuple[Remote, ...] = ()
    checksums: str = "none could be found; what comes is recorded"
    record: str = ""
    ask: str = ""

    @property
    def licence(self) -> str:
        """Its terms in a line, and where they stand."""
        return CORPORA[self.layout].licence


def _emobox(corpus: str, folds: int) -> tuple[Remote, ...]:
    """EmoBox's lists of test files, which `ingest.set` names; at one commit, so that they can't change."""
    names = [(number, f"{corpus}_test_fold_{number}.jsonl") for number in range(1, folds + 1)]
    return tuple(Remote(f"{EMOBOX}/{corpus}/fold_{n}/{name}", f"emobox/{name}") for n, name in names)


def _zenodo(name: str, checksum: str | None = None) -> Remote:
    return Remote(f"{ZENODO}/{name}?download=1", name, checksum)


RAVDESS = "RAVDESS (Livingstone and Russo, PLoS ONE 13(5), 2018)"
SOURCES = {
    "ravdess": Source(
        RAVDESS + ", speech as sound, 208 MB",
        "ravdess",
        (
            _zenodo("Audio_Speech_Actors_01-24.zip", "md5:bc696df654c87fed845eb13823edef8a"),
            *_emobox("ravdess", 6),
        ),
        "of the archive: https://zenodo.org/records/1188976",
    ),
    "ravdess_video": Source(
        RAVDESS + ", speech as video, about 13 GB",
        "ravdess",
        (*(_zenodo(f"Video_Speech_Actor_{n:02}.zip") for n in range(1, 25)), *_emobox("ravdess", 6)),
        "of the archives: what https://zenodo.org/records/1188976 lists now",
        record="https://zenodo.org/api/records/1188976",
    ),
    "crema_d": Source(
        "CREMA-D (Cao et al., IEEE Transactions on Affective Computing 5(4), 2014), sound, about 600 MB; the "
        "authors ask its users to fill out the form that github.com/CheyneyComputerScience/CREMA-D names",
        "crema_d",
        (
            Remote(f"{MIRROR}/{CREMA_D}/crema-d-mirror-{CREMA_D}.tar.gz?path=AudioWAV", "crema-d-mirror.tar.gz"),
            *_emobox("cremad", 1),
        ),
    ),
    "emodb": Source(
        "EmoDB (Burkhardt et al., Interspeech 2005), 40 MB",
        "emodb",
        (Remote("http://emodb.bilderbar.info/download/download.zip", "emodb.zip"), *_emobox("emodb", 5)),
    ),
    "tess": Source(
        "TESS (Pichora-Fuller and Dupuis, University of Toronto), about 270 MB",
        "tess",
        (
            Remote(
                "https://borealisdata.ca/api/access/dataset/:persistentId/?persistentId=doi:10.5683/SP2/E8H2MF",
                "tess.zip",
            ),
            *_emobox("tess", 1),
        ),
    ),
    "emorynlp": Source(
        "EmoryNLP (Zahiri and Choi, AAAI Workshop on Affective Content Analysis, 2018), words, 5 MB",
        "emorynlp",
        tuple(
            Remote(f"https://raw.githubusercontent.com/emorynlp/emotion-detection/master/json/{name}", name)
            for name in ("emotion-detection-trn.json", "emotion-detection-dev.json", "emotion-detection-tst.json")
        ),
    ),
    "meld": Source(
        "MELD (Poria et al., ACL 2019), about 11 GB",
        "meld",
        (Remote("https://web.eecs.umich.edu/~mihalcea/downloads/MELD.Raw.tar.gz", "MELD.Raw.tar.gz"),),
    ),
    "savee": Source(
        "SAVEE (Jackson and Haq, University of Surrey, 2014)",
        "savee",
        ask="http://kahlan.eps.surrey.ac.uk/savee/Download.html",
    ),
    "iemocap": Source(
        "IEMOCAP (Busso et al., Language Resources and Evaluation 42, 2008)",
        "iemocap",
        ask="https://sail.usc.edu/iemocap/iemocap_release.htm",
    ),
}
