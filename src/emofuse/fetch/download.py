"""One file over HTTP: gone on with where it was broken off, held to its checksum, never half there.

pooch holds files to their checksums and renames them into place. It begins anew after every break, which is hours for
a corpus, so that the transfer itself is done here.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pooch
import requests

from emofuse.core.errors import DataError
from emofuse.core.progress import progress
from emofuse.fetch.sources import Remote

CHUNK = 1 << 20  # bytes
PATIENCE = 60  # seconds without a byte
AGAIN = "run the same command again"


class ResumedDownload:
    """A downloader for pooch that keeps what has come in a file beside.

    Args:
        part: that file; another with `.version` at its end says which version of the remote file it is of.
        checksum: whether the whole will be held to one, so that parts of two versions would be noticed.
    """

    def __init__(self, part: Path, checksum: bool) -> None:
        self._part = part
        self._version = part.with_name(part.name + ".version")
        self._checksum = checksum

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Bring the rest of the file, and put the whole in place of `output_file`.

        Raises:
            DataError: there is not enough room, or the server doesn't have it.
            requests.RequestException: it was broken off; what has come stays for the next call.
        """
        with requests.get(url, headers=self._headers(), stream=True, timeout=PATIENCE) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._require_whole(response.headers.get("Content-Range", ""))
            else:
                response.raise_for_status()
                self._write(response)
        self._part.replace(output_file)
        self._version.unlink(missing_ok=True)

    def _write(self, response: requests.Response) -> None:
        goes_on = response.status_code == requests.codes.partial_content
        before = self._part.stat().st_size if goes_on else 0
        size = int(response.headers.get("Content-Length", 0))
        _require_room(self._part.parent, size)
        with self._part.open("ab" if goes_on else "wb") as file:
            self._version.write_text(_version(response))
            for chunk in progress(response.iter_content(CHUNK), self._part.stem, -(-size // CHUNK) or None, "MiB"):
                file.write(chunk)
        if size and self._part.stat().st_size != before + size:
            raise requests.ConnectionError("the server sent less than it announced")

    def _require_whole(self, content_range: str) -> None:
        """Nothing is left to come: what is here is whole, or of another version, and then of no use."""
        if content_range != f"bytes */{self._part.stat().st_size}":
            self._part.unlink()
            raise requests.ConnectionError("what came before is of another version and was removed")

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}  # so that lengths are the file's
        if self._part.is_file() and (size := self._part.stat().st_size):
            version = self._version.read_text() if self._version.is_file() else ""
            if version:
                return headers | {"Range": f"bytes={size}-", "If-Range": version}
            if self._checksum:
                return headers | {"Range": f"bytes={size}-"}
        return headers


def _version(response: requests.Response) -> str:
    """What tells versions of a remote file apart; empty where the server doesn't say."""
    tag = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def download(remote: Remote, folder: Path) -> Path:
    """Bring a file into a folder, whole and held to its checksum.

    Raises:
        DataError: it can't be had now; the message says what to do, and what has come stays where that helps.
    """
    pooch.get_logger().setLevel(logging.ERROR)  # what happens is told here
    part = folder / f"{remote.local}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(
            pooch.retrieve(
                remote.url,
                remote.checksum,
                fname=remote.local,
                path=folder,
                downloader=ResumedDownload(part, remote.checksum is not None),
            )
        )
    except requests.HTTPError as error:
        raise DataError(
            f"{remote.url}: {str(error).split(' for url')[0]}; it may have moved: look at the corpus's page, unpack it "
            "by hand below the data root, and leave fetch out"
        ) from None
    except requests.RequestException as error:
        came = part.stat().st_size if part.is_file() else 0
        what = f"broken off after {came / 1e6:.1f} MB" if came else "can't be reached"
        raise DataError(f"{remote.url}: {what} ({_reason(error)}); {AGAIN} to go on from there") from None
    except ValueError as error:
        raise DataError(
            f"{remote.url}: what came is not what its publisher names: expected {remote.checksum}, "
            f"{str(error).split('but got ')[-1].split('.')[0]} came. It was removed; {AGAIN}, and where that doesn't "
            "help, ask the publisher"
        ) from None
    except OSError as error:
        raise full(folder, error) from None


def listed_checksums(record: str) -> dict[str, str]:
    """What a record of Zenodo lists: `md5:...` by the name of a file; nothing where it can't be read."""
    try:
        with requests.get(record, timeout=PATIENCE) as response:
            response.raise_for_status()
            return {str(file["key"]): str(file["checksum"]) for file in response.json()["files"]}
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return {}


def _reason(error: requests.RequestException) -> str:
    inner = error.args[0] if error.args else error
    return f"{getattr(inner, 'reason', None) or inner}"[:200]


def full(folder: Path, error: OSError) -> DataError:
    """What to say of a file that can't be written."""
    free = 0
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
    return DataError(
        f"{folder}: can't be written to ({error.strerror}; {free / 1e6:.0f} MB are free); make room, then {AGAIN}: "
        "what has come is kept"
    )


def _require_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{folder}: {size / 1e6:.0f} MB are to come and {free / 1e6:.0f} MB are free; make room, then {AGAIN}"
        )


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What a file holds, piece by piece."""
    while chunk := file.read(CHUNK):
        yield chunk
