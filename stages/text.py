"""Stage text: the manifest's words to features/text.parquet."""

from __future__ import annotations

from functools import partial

from emofuse.errors import guard
from emofuse.features.base import Extractor
from emofuse.features.content import text_content
from emofuse.features.extraction import Task, extract
from emofuse.params import TextParams, load_params
from emofuse.schema import FEATURES_DIR, read_manifest, utterances


def make(params: TextParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.device import pick_device
    from emofuse.features.text import TextExtractor

    return TextExtractor(params, pick_device())


def main() -> None:
    """Encode the text of every utterance."""
    params = load_params()
    manifest = read_manifest()
    task = Task("text", params.text, partial(make, params.text), partial(text_content, params.text))
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    extract(task, rows, manifest, FEATURES_DIR / "text.parquet", params.extract)


if __name__ == "__main__":
    with guard():
        main()
