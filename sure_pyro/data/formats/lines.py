"""Text files line by line: what is wrong with a line is said of that line.

Files are read as a stream, and at most `MAX_ROWS` lines of them, so that memory follows from what
is kept of a line and not from what a file claims.
"""

import csv
import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from sure_pyro.data.formats.errors import Problem, UnreadableError, printable

MAX_ROWS = 10**6
MAX_LINE = 10**6  # characters
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)

Record = dict[str, str]


def read_table(
    path: Path, name: str, columns: Sequence[str]
) -> Iterator[tuple[int, Record | Problem]]:
    """Records of a comma-separated table with a header, each with the line it starts in.

    Parameters
    ----------
    path : Path
    name : str
        Of the file, for messages.
    columns : sequence of str
        That must be there; others may be.

    Yields
    ------
    line : int
        Counted from 1.
    record : dict of str, or Problem
        By column.

    Raises
    ------
    UnreadableError
        If the file is no table with these columns as a whole.
    """
    with _open(path) as file:
        rows = csv.reader(_short_lines(file), strict=True)
        header = _header(rows, columns)
        for _ in range(MAX_ROWS):
            line = rows.line_num + 1
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end" in str(error):  # the rest of the table would be lost unseen
                    raise UnreadableError(
                        f"a quote that opens in line {line} is not closed"
                    ) from error
                yield line, Problem(name, str(error), line)
                continue
            if fields:  # blank lines are none
                yield line, _record(header, fields, name, line)
    raise UnreadableError(f"it has more than {MAX_ROWS} rows")


def read_json_lines(path: Path, name: str) -> Iterator[tuple[int, dict[str, Any] | Problem]]:
    """Objects of a file with one JSON object a line, each with its line.

    Parameters
    ----------
    path : Path
    name : str
        Of the file, for messages.

    Yields
    ------
    line : int
        Counted from 1.
    record : dict, or Problem

    Raises
    ------
    UnreadableError
        If the file is no text, or too long.
    """
    for line, text in read_lines(path):
        yield line, _object(text, name, line)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file that are not blank, each with its number, counted from 1.

    Raises
    ------
    UnreadableError
        If the file is no text, or too long.
    """
    with _open(path) as file:
        for line, text in enumerate(_short_lines(file), 1):
            if line > MAX_ROWS:
                raise UnreadableError(f"it has more than {MAX_ROWS} rows")
            if text.strip():
                yield line, text


def real_number(text: str, what: str) -> float:
    """A finite number, written in decimals.

    Raises
    ------
    UnreadableError
        If it is none: NaN and infinity neither.
    """
    text = text.strip()
    value = float(text) if len(text) < 50 and NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise UnreadableError(f"{what} must be a finite number; got {printable(text, 40)!r}")
    return value


def whole_number(text: str, what: str) -> int:
    """A non-negative whole number of at most nine digits.

    Raises
    ------
    UnreadableError
        If it is none.
    """
    if not re.fullmatch(r"\d{1,9}", text.strip(), re.ASCII):
        raise UnreadableError(f"{what} must be a whole number; got {printable(text, 40)!r}")
    return int(text)


def parse_json(text: str) -> Any:
    """JSON of a text, without NaN and infinity, which are no JSON, and without repeated names.

    Raises
    ------
    UnreadableError
        If it is something else.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except RecursionError:
        raise UnreadableError("it is no JSON of this format: nested too deeply") from None
    except ValueError as error:
        raise UnreadableError(f"it is no JSON: {printable(str(error))}") from error


def read_json(path: Path) -> Any:
    """JSON of a file; see `parse_json`.

    Raises
    ------
    UnreadableError
        If it is something else.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableError("it is no text in UTF-8") from error


def is_text(text: str) -> bool:
    """Whether a piece of a file was UTF-8, and no lone halves of characters came by an escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _open(path: Path) -> TextIO:
    """Open a file in UTF-8, with or without a byte order mark.

    Bytes that are no UTF-8 become lone surrogates, so that the line they stand in can be named.
    """
    with open(path, "rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise UnreadableError("it is in UTF-16: save it as UTF-8")
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _short_lines(file: TextIO) -> Iterator[str]:
    while text := file.readline(MAX_LINE):
        if len(text) == MAX_LINE:
            raise UnreadableError(f"it has a line of more than {MAX_LINE} characters")
        yield text


def _header(rows: Iterator[list[str]], columns: Sequence[str]) -> list[str]:
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise UnreadableError(f"its first line is no table header: {error}") from error
    lacking = [column for column in columns if column not in header]
    if lacking:
        raise UnreadableError(
            f"its header has no columns {lacking}; it is {printable(','.join(header))!r}"
        )
    if len(set(header)) < len(header):
        raise UnreadableError(f"its header names a column twice: {printable(','.join(header))!r}")
    return header


def _record(header: list[str], fields: list[str], name: str, line: int) -> Record | Problem:
    if len(fields) != len(header):
        return Problem(name, f"it has {len(fields)} fields, the header {len(header)}", line)
    if not all(map(is_text, fields)):
        return Problem(name, "it is no text in UTF-8", line)
    return dict(zip(header, fields, strict=True))


def _object(text: str, name: str, line: int) -> dict[str, Any] | Problem:
    if not is_text(text):
        return Problem(name, "it is no text in UTF-8", line)
    try:
        record = parse_json(text)
    except UnreadableError as error:
        return Problem(name, str(error), line)
    if not isinstance(record, dict):
        return Problem(name, f"it must be a JSON object; got {type(record).__name__}", line)
    return record


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError(f"a name stands twice among {[name for name, _ in pairs][:20]}")
    return record
