"""Stage `corpus`: build the synthetic corpus."""

from __future__ import annotations

from pathlib import Path

from emofuse.corpus.build import build_corpus
from emofuse.errors import guard
from emofuse.params import load_params


def main() -> None:
    """Build data/corpus from params.yaml."""
    params = load_params()
    build_corpus(Path("data/corpus"), params.corpus.dialogues, params.corpus.utterances, params.seed)


if __name__ == "__main__":
    with guard():
        main()
