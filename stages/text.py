"""Stage text: the manifest's words to features/text.parquet."""

from functools import partial

from emofuse.core.errors import guard
from emofuse.core.params import TextParams, load_params
from emofuse.core.paths import FEATURES_DIR, FINETUNED_DIR, TRANSCRIPTS_FILE
from emofuse.core.tables import read_manifest, utterances
from emofuse.datasets.transcripts import add_transcripts
from emofuse.extraction.content import text_content
from emofuse.extraction.run import Task, extract
from emofuse.features.contract import Extractor


def make(params: TextParams) -> Extractor:
    """The extractor; what it needs is imported where there is something to extract."""
    from emofuse.core.device import pick_device
    from emofuse.features.text.extractor import TextExtractor

    return TextExtractor(params, pick_device())


def main() -> None:
    """Encode the text of every utterance."""
    params = load_params()
    manifest = add_transcripts(read_manifest(), TRANSCRIPTS_FILE, params.text.transcribe)
    task = Task("text", params.text, partial(make, params.text), partial(text_content, params.text))
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    path = FEATURES_DIR / "text.parquet"
    extract(task, rows, manifest, path, params.extract)
    if params.text.finetune.epochs:
        from emofuse.features.text.finetuned import add_finetuned

        add_finetuned(path, manifest, FINETUNED_DIR)


if __name__ == "__main__":
    with guard():
        main()
