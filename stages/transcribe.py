"""Stage transcribe: the sound of utterances without words to data/transcripts.csv, which people may correct."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import TRANSCRIPTS_FILE
from emofuse.core.tables import read_manifest
from emofuse.transcription.run import transcribe


def main() -> None:
    """Hear what has no text, where `text.recogniser` names who listens."""
    table = transcribe(read_manifest(), load_params(), TRANSCRIPTS_FILE)
    print(f"{len(table)} transcripts, {(table['text'] != '').sum()} with words; correct them in {TRANSCRIPTS_FILE}")


if __name__ == "__main__":
    with guard():
        main()
