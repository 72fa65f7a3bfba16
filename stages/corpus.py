"""Stage `corpus`: build the synthetic corpus."""

from pathlib import Path

from demo_corpus.build import build_corpus
from emofuse.core.errors import guard
from emofuse.core.params import load_params

CORPUS = Path("data/corpus")


def main() -> None:
    """Build data/corpus from params.yaml; where another data set is used, leave it empty."""
    params = load_params()
    if params.ingest.layout != "demo":
        CORPUS.mkdir(parents=True, exist_ok=True)
        print(f"not built: ingest.layout is {params.ingest.layout}")
        return
    build_corpus(CORPUS, params.corpus.dialogues, params.corpus.utterances, params.seed)


if __name__ == "__main__":
    with guard():
        main()
