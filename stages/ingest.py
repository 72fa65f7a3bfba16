"""Stage ingest: the data's tables to the manifest."""

from functools import partial

from emofuse.core.errors import guard
from emofuse.core.files import write_json
from emofuse.core.params import load_params
from emofuse.core.paths import LEARNT_FILE, MANIFEST_FILE
from emofuse.core.tables import write_manifest
from emofuse.datasets.about import describe_data
from emofuse.datasets.manifest import build_manifest, refuse_unfoldable
from emofuse.extraction.sounds import sound_features


def main() -> None:
    """Read the layout named in params.yaml; write the manifest, notes, and what models will say of the data."""
    params = load_params()
    sounds = partial(sound_features, params=params)
    manifest, notes = build_manifest(params.ingest, params.seed, params.extract.cache, sounds)
    refuse_unfoldable(manifest, params.train.folds, params.ingest.root)
    write_manifest(manifest)
    write_json(MANIFEST_FILE.with_name("notes.json"), notes)
    write_json(LEARNT_FILE, describe_data(manifest, params.ingest).model_dump(mode="json"))
    print(f"{len(manifest)} utterances: " + ", ".join(f"{n} {s}" for s, n in manifest["split"].value_counts().items()))
    print(*notes, f"{(manifest['issues'].str.len() > 0).sum()} rows with issues; see reports/data.html", sep="\n")


if __name__ == "__main__":
    with guard():
        main()
