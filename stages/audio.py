"""Stage audio: the manifest's clips to features/audio.parquet."""

from functools import partial

from emofuse.core.errors import guard
from emofuse.core.params import AudioParams, load_params
from emofuse.core.paths import FEATURES_DIR
from emofuse.core.tables import read_manifest, utterances
from emofuse.extraction.content import clip_content
from emofuse.extraction.run import Task, extract
from emofuse.features.contract import Extractor


def make(params: AudioParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.features.audio.extractor import AudioExtractor

    return AudioExtractor(params)


def main() -> None:
    """Extract the audio features of every utterance."""
    params, manifest = load_params(), read_manifest()
    task = Task("audio", params.audio, partial(make, params.audio), clip_content)
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(task, rows, manifest, FEATURES_DIR / "audio.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
