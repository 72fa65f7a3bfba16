"""Stage visual: the manifest's clips to features/visual.parquet."""

from functools import partial

from emofuse.core.errors import guard
from emofuse.core.params import VisualParams, load_params
from emofuse.core.paths import FEATURES_DIR
from emofuse.core.tables import read_manifest, utterances
from emofuse.extraction.content import clip_content
from emofuse.extraction.run import Task, extract
from emofuse.features.contract import Extractor


def make(params: VisualParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.features.visual.extractor import VisualExtractor

    return VisualExtractor(params)


def main() -> None:
    """Extract the visual features of every utterance."""
    from emofuse.features.visual.detectors import as_installed

    params = load_params()
    visual = as_installed(params.visual)
    manifest = read_manifest()
    task = Task("visual", visual, partial(make, visual), clip_content)
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(task, rows, manifest, FEATURES_DIR / "visual.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
