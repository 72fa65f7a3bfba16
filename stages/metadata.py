"""Stage metadata: the manifest's clips to features/metadata.parquet."""

from functools import partial

from emofuse.core.errors import guard
from emofuse.core.params import MetadataParams, load_params
from emofuse.core.paths import FEATURES_DIR
from emofuse.core.tables import read_manifest, utterances
from emofuse.extraction.run import Task, extract
from emofuse.features.contract import Extractor


def make(params: MetadataParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.features.metadata import MetadataExtractor

    return MetadataExtractor(params)


def main() -> None:
    """Extract the metadata features of every utterance."""
    params, manifest = load_params(), read_manifest()
    task = Task("metadata", params.metadata, partial(make, params.metadata), None)
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(task, rows, manifest, FEATURES_DIR / "metadata.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
