"""`emofuse`, the command line."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from emofuse.errors import guard
from emofuse.features.cache import FeatureCache
from emofuse.params import load_params
from emofuse.probing.command import probe

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Emotion recognition in filmed dialogues.")
cache = typer.Typer(no_args_is_help=True, help="What was extracted once, so that it is not extracted again.")
app.add_typer(cache, name="cache")
app.command()(probe)

Gigabytes = Annotated[float | None, typer.Option(min=0, help="leave so much; extract.cache_gb unless given")]


@app.callback()
def main() -> None:
    """Emotion recognition in filmed dialogues."""


def _opened() -> tuple[FeatureCache, Path, float]:
    run = load_params().extract
    return FeatureCache(run.cache, round(run.cache_gb * 2**30)), run.cache, run.cache_gb


@cache.command()
def show() -> None:
    """Show what the cache holds."""
    with guard():
        found, folder, limit = _opened()
        with closing(found):
            typer.echo(f"{folder}: {found.size() / 2**20:.1f} MiB of at most {limit:g} GiB")
            for modality, (count, size) in found.counts().items():
                typer.echo(f"  {modality:<10}{count:>10} entries{size / 2**20:>12.1f} MiB")


@cache.command()
def prune(gb: Gigabytes = None) -> None:
    """Remove the least recently used entries; `--gb 0` removes all."""
    with guard():
        found, _, _ = _opened()
        with closing(found):
            removed = found.prune(None if gb is None else round(gb * 2**30))
            typer.echo(f"removed {removed} entries; {found.size() / 2**20:.1f} MiB are left")
