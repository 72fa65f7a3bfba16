"""Stage visual: the manifest's clips to features/visual.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.errors import guard
from emofuse.features.base import Extractor
from emofuse.features.content import clip_content
from emofuse.features.extraction import Task, extract
from emofuse.params import VisualParams, load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances


def make(params: VisualParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.features.visual import VisualExtractor

    return VisualExtractor(params)


def main() -> None:
    """Extract the visual features of every utterance."""
    params = load_params()
    manifest = read_manifest()
    task = Task("visual", params.visual, partial(make, params.visual), clip_content)
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(task, rows, manifest, FEATURES_DIR / "visual.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
