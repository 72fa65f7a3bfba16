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


@app.command()
def compare(
    sources: Annotated[
        list[str], typer.Argument(help="DVC revisions or experiments, MLflow runs, bundles, or workspace")
    ],
    split: Annotated[str, typer.Option(help="the rows to compare on")] = "test",
    html: Annotated[Path | None, typer.Option(help="write the comparison as a page, too")] = None,
) -> None:
    """Compare two or more models on the rows that they share, with paired intervals.

    Each is `workspace`, a DVC revision or experiment, an MLflow run id, a bundle folder or a predictions.parquet;
    `:MODEL` after it names another model than the champion: `emofuse compare main my-exp my-exp:text`.
    """
    with guard():
        # These load scikit-learn and pandas, which the other commands do without.
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        from emofuse.evaluation import compare as comparing
        from emofuse.evaluation.sources import read_source

        params = load_params()
        read = [read_source(asked, _run_file) for asked in sources]
        found = comparing.compare(read, split, params.evaluate.resamples, params.seed)
        head, *rows = comparing.lines(found)
        title = (
            f"{found.rows} {split} rows in {found.dialogues} dialogues, 95% intervals; less and wins: of weighted F1"
        )
        table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for column in head:
            table.add_column(column, justify="left" if column == "" else "right", overflow="fold")
        for row in rows:
            table.add_row(*(cell.replace(" to ", "…") for cell in row))
        Console().print(table)
        typer.echo("\n".join(found.notes()))
        if html is not None:
            comparing.write_comparison(html, found)


def _run_file(run: str, path: str) -> Path:
    from emofuse.tracking import run_file

    return run_file(run, path)
