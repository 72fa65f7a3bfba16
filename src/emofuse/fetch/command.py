"""`emofuse fetch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emofuse.core.errors import DataError, guard
from emofuse.fetch.sources import SOURCES


def fetch_command(
    name: Annotated[str, typer.Argument(help=f"one of {', '.join(SOURCES)}")],
    root: Annotated[Path | None, typer.Option(help="where to; data/NAME unless given")] = None,
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="you have read the licence that is shown, and keep to it")
    ] = False,
) -> None:
    """Bring a corpus from its official address, checked and unpacked; what is there already is left as it is."""
    with guard():
        if name not in SOURCES:
            raise DataError(f"fetch: found {name!r}, expected one of {', '.join(SOURCES)}")
        source = SOURCES[name]
        for line in (source.title, f"licence: {source.licence}"):
            typer.echo(line)
        if source.ask:
            raise DataError(
                f"{name} is given by its authors alone: ask at {source.ask}, unpack it, and set ingest.layout to "
                f"{source.layout} and ingest.root to its folder"
            )
        typer.echo(f"checksums: {source.checksums}")
        if not accept_licence:
            raise DataError("nothing was fetched; read the licence, and where you keep to it, add --accept-licence")
        from emofuse.fetch.bring import bring

        folder = root or Path("data") / name
        bring(source, folder, typer.echo)
        typer.echo(f"use it: dvc exp run -S ingest.layout={source.layout} -S ingest.root={folder}")
