"""Stage pretrained: classifiers that were trained elsewhere, as one more model; nothing where none is named."""

import shutil

from emofuse.core.errors import guard
from emofuse.core.files import write_json
from emofuse.core.params import load_params
from emofuse.core.paths import MODELS_DIR, PRETRAINED_DIR, TRANSCRIPTS_FILE
from emofuse.core.tables import read_manifest
from emofuse.datasets.transcripts import add_transcripts
from emofuse.fusion.names import PRETRAINED


def main() -> None:
    """Ask the classifiers about every row, and write the bundle and what they say."""
    params, folder = load_params(), MODELS_DIR / PRETRAINED
    for out in (folder, PRETRAINED_DIR):
        shutil.rmtree(out, ignore_errors=True)
    if not params.pretrained.named:
        for out in (folder, PRETRAINED_DIR):
            write_json(out / "none.json", {})
        return
    from emofuse.inference.bundle import save_bundle
    from emofuse.training.pool_fitting import fit_pretrained

    manifest = add_transcripts(read_manifest(), TRANSCRIPTS_FILE, params.text.transcribe)
    fitted = fit_pretrained(manifest, params, PRETRAINED_DIR)
    save_bundle(fitted.bundle, folder)
    print(", ".join(f"{modality} {weight:.3f}" for modality, weight in fitted.weights.items()))


if __name__ == "__main__":
    with guard():
        main()
