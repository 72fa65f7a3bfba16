"""Delimited text as users have it: its encoding, its separator, and its rows, of which a faulty one costs no other."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from emofuse.core.text import normal_form

MAX_FIELD = 1 << 20  # characters; a longer field is a quote that was never closed
NO_SEPARATOR = "\x1f"  # of a table of one column, whose cells may hold any of the others
UNBALANCED = "quotes aren't balanced"
DOUBTFUL = "goes over several lines, each of which could be a row: check its quotes"
UNDOUBLED = "quotes inside a quoted field aren't doubled; read as they stand"


@dataclass(frozen=True)
class Record:
    """A row of a file: its fields, and what is wrong with its quotes; empty where nothing is."""

    fields: list[str]
    fault: str = ""


def decode(raw: bytes) -> tuple[str, int]:
    """Text of a file whose lines are in UTF-8 or, where they aren't, in Windows-1252, which prints all of ISO-8859-1.

    Returns:
        The text, and the number of lines that weren't UTF-8.

    Raises:
        ValueError: it is no text.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw.decode("utf-16").encode("utf-8", "surrogatepass")
    if b"\x00" in raw:
        raise ValueError("found NUL bytes, so it is no text; save it as UTF-8")
    lines, odd = [], 0
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            odd += 1
            lines.append("".join(_cp1252(byte) for byte in line))
    return "\n".join(lines), odd


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing in Windows-1252
        return chr(byte)


def pick_separator(text: str, wanted: Collection[str], first: str = ",") -> str:
    """The separator by which a heading gives most of the wanted columns, then most columns.

    Args:
        text: of the file.
        wanted: headings in normal form.
        first: what is taken where several do as well.
    """
    heading = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]

    def columns(separator: str) -> tuple[int, int]:
        """How many wanted columns, and how many at all, the heading has when cut by a separator of one character."""
        names = [normal_form(name) for name in next(csv.reader([heading], delimiter=separator), [])]
        return len(set(names) & set(wanted)), len(names)

    best = max((first, ",", ";", "\t"), key=columns)
    return best if columns(best)[1] > 1 else NO_SEPARATOR


def read_records(text: str, separator: str) -> Iterator[Record]:
    """The rows of a file, the heading first; blank lines are none.

    A quoted field may hold line breaks. A row whose quotes don't fit costs no other row: its first line is read alone.
    """
    csv.field_size_limit(MAX_FIELD)
    lines, start, width = _lines(text), 0, None
    while start < len(lines):
        record, count = _record(lines, start, separator, width)
        start += count
        if record.fields:
            width = width or len(record.fields)
            yield record


def usual_width(names: Sequence[str], records: Sequence[Record]) -> int:
    """How many fields a row has: those of the headings, or of most rows that differ from these by empty ones alone."""
    counts = Counter(len(record.fields) for record in records if not any(surplus(names, record)))
    return max(counts, key=lambda count: (counts[count], count == len(names)), default=len(names))


def surplus(names: Sequence[str], record: Record) -> Sequence[str]:
    """Fields that no heading names, or headings that name no field."""
    return record.fields[len(names) :] or names[len(record.fields) :]


def _lines(text: str) -> list[str]:
    """Lines with their ends: CRLF or LF, or CR where there is none of these. No other sign ends a line."""
    if "\n" not in text:
        return io.StringIO(text, newline="\r").readlines()
    return io.StringIO(re.sub(r"\r(?=[^\r\n])", " ", text), newline="\n").readlines()


def _record(lines: Sequence[str], start: int, separator: str, width: int | None) -> tuple[Record, int]:
    """The row that starts at a line, and over how many lines it goes."""
    reader = csv.reader((lines[number] for number in range(start, len(lines))), delimiter=separator, strict=True)
    try:
        fields, whole = next(reader), lines[start : start + reader.line_num]
        # A stray quote swallows lines up to the next one; what it gives is hardly ever of the right width.
        swallows = any(_is_row(line, separator, width) for line in whole[1:]) and _opens(whole[-1], separator)
        if len(fields) == width or not swallows:
            return Record(fields, _doubt(fields, whole, separator, width)), len(whole)
    except csv.Error:
        pass
    line = lines[start].rstrip("\r\n")
    if reader.line_num == 1:
        fitting = _undoubled(line, separator) if line.count('"') % 2 == 0 else []
        return (Record(fitting, UNDOUBLED) if fitting else Record(line.split(separator), UNBALANCED)), 1
    count = _torn_lines(lines, start, separator, width)
    return Record("".join(lines[start : start + count]).rstrip("\r\n").split(separator), UNBALANCED), count


def _torn_lines(lines: Sequence[str], start: int, separator: str, width: int | None) -> int:
    """Over how many lines a row goes whose first line leaves a quote open that doesn't close as it should.

    One, where the quote was never meant to open a field of several lines: no quote follows, or the next one opens a
    field of its own, or all lines up to it are rows.
    """
    last = next((number for number in range(start + 1, len(lines)) if '"' in lines[number]), start)
    rows = len(lines[start].split(separator)) == width and all(
        _is_row(line, separator, width) for line in lines[start + 1 : last + 1]
    )
    return 1 if last == start or rows or _opens(lines[last], separator) else last - start + 1


def _opens(line: str, separator: str) -> bool:
    """Whether the first quote of a line stands where a field begins."""
    return re.match(rf'(?:[^"]*{re.escape(separator)})?"', line) is not None


def _doubt(fields: Sequence[str], whole: Sequence[str], separator: str, width: int | None) -> str:
    """What is odd about the quotes of a row that is well formed."""
    if len(whole) > 1:
        return DOUBTFUL if width != 1 and all(len(line.split(separator)) == width for line in whole) else ""
    # One that begins inside a field and ends inside another: a separator is missing ahead of it.
    quoted = re.search(rf'(?:^|{re.escape(separator)})"', whole[0])
    return UNBALANCED if not quoted and sum(field.count('"') % 2 for field in fields) > 1 else ""


def _is_row(line: str, separator: str, width: int | None) -> bool:
    """Whether a line alone is a row of the right width."""
    try:
        return len(next(csv.reader([line], delimiter=separator, strict=True), [])) == width
    except csv.Error:
        return False


def _undoubled(line: str, separator: str) -> list[str]:
    """Fields of a line where a quote ends a field only ahead of a separator; nothing where that doesn't come out."""
    mark = re.escape(separator)
    field, place = re.compile(rf'(?:"(.*?)"|([^"{mark}]*))({mark}|$)'), 0
    fields = []
    while match := field.match(line, place):
        fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        if not match[3]:
            return fields
        place = match.end()
    return []
