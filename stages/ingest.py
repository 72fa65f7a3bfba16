"""Stage ingest: the data's tables to the manifest."""

from __future__ import annotations

from emofuse.datasets.manifest import build_manifest
from emofuse.errors import guard
from emofuse.params import load_params
from emofuse.schema import write_manifest


def main() -> None:
    """Read the layout named in params.yaml and write data/manifest.parquet."""
    params = load_params().ingest
    manifest = build_manifest(params.layout, params.root)
    write_manifest(manifest)
    print(f"{len(manifest)} utterances: " + ", ".join(f"{n} {s}" for s, n in manifest["split"].value_counts().items()))


if __name__ == "__main__":
    with guard():
        main()
