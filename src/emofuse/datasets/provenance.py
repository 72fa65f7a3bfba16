"""SOURCE.json beside the data: where it came from, when, and what it was held to. `emofuse fetch` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emofuse.core.files import write_json

SOURCE_FILE = "SOURCE.json"


class FetchedFile(BaseModel):
    """A file that was brought.

    Attributes:
        path: what it became, relative to the data root.
        url: its address.
        bytes: its size.
        sha256: of what came.
        checksum: that its publisher gives and that it was held to; None where none is known.
        date: on which it came.
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    url: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    checksum: str | None
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]


class Provenance(BaseModel):
    """All that was brought to a data root."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    title: str
    licence: str
    files: list[FetchedFile] = []

    def write(self, root: Path) -> None:
        """Write it beside the data."""
        write_json(root / SOURCE_FILE, self.model_dump())


def read_provenance(root: Path) -> Provenance | None:
    """What is recorded of a data root; None where nothing is, or not in this form."""
    try:
        return Provenance.model_validate_json((root / SOURCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def provenance_notes(root: Path) -> list[str]:
    """What the data report says of where the data came from."""
    record = read_provenance(root)
    if record is None:
        return []
    return [f"{record.title}; {record.licence}"] + [
        f"{file.path} came from {file.url} on {file.date}, sha256 {file.sha256}, "
        + (f"held to its publisher's {file.checksum}" if file.checksum else "held to no checksum, since none is known")
        for file in record.files
    ]
