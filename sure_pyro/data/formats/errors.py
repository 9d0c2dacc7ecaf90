"""What is wrong with a dataset on disk, in one message: where, why, and what was expected."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

SHOWN = 10  # problems that a message lists; the error holds all of them
KEPT = 1000  # problems of rows that are kept: a broken table has millions


class Format(NamedTuple):
    """A dataset format in words, for messages.

    Attributes
    ----------
    name : str
    tree : str
        The expected files, one a line.
    source : str
        How to obtain the dataset, by name.
    """

    name: str
    tree: str
    source: str


class UnreadableError(ValueError):
    """Why one file or one line can not be read; the reader adds where it was."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    file : str
        Relative to the folder of the dataset.
    why : str
    line : int, optional
        Counted from 1.
    """

    file: str
    why: str
    line: int | None = None

    def __str__(self) -> str:
        place = printable(self.file) + ("" if self.line is None else f", line {self.line}")
        return f"{place}: {self.why}"


class DatasetError(ValueError):
    """A dataset that can not be read.

    Attributes
    ----------
    problems : tuple of Problem
        Everything that was found, not only what the message shows.
    """

    def __init__(self, form: Format, folder: str | Path, problems: Iterable[Problem], advice=""):
        self.problems = tuple(problems)
        shown = "".join(f"\n  {problem}" for problem in self.problems[:SHOWN])
        more = len(self.problems) - SHOWN
        shown += f"\n  ... and {more} more." if more > 0 else ""
        tree = "".join(f"\n  {line}" for line in form.tree.splitlines())
        super().__init__(
            f"{form.name} can not be read from {printable(str(folder))}: "
            f"{len(self.problems)} {'problem' if len(self.problems) == 1 else 'problems'}.{shown}"
            f"\nExpected there:{tree}\nHow to get it: {form.source}{advice}"
        )

    def __reduce__(self):
        return _restore, (self.args[0], self.problems)


def _restore(message: str, problems: Sequence[Problem]) -> DatasetError:
    """Rebuild an error that came from another process."""
    error = DatasetError.__new__(DatasetError, message)
    error.args = (message,)
    error.problems = tuple(problems)
    return error


class Findings:
    """Problems met while a dataset is opened, and what is done about them.

    Parameters
    ----------
    form : Format
    folder : path
    on_error : {"error", "skip"}
        Whether problems of single rows are raised, or the rows left out and counted.

    Attributes
    ----------
    whole : list of Problem
        Of the dataset as a whole: never skipped.
    rows : list of Problem
        Of single rows, the first `KEPT` of them.
    count : int
        Number of rows with a problem.

    Raises
    ------
    ValueError
        If `on_error` is none of the choices.
    """

    def __init__(self, form: Format, folder: str | Path, on_error: str):
        if on_error not in ("error", "skip"):
            raise ValueError(f"`on_error` must be 'error' or 'skip'; got {on_error!r}.")
        self.form, self.folder, self.on_error = form, folder, on_error
        self.whole: list[Problem] = []
        self.rows: list[Problem] = []
        self.count = 0

    def row(self, problem: Problem) -> None:
        """Enter the problem of a row; a thousand of them are error enough to stop.

        Raises
        ------
        DatasetError
        """
        self.count += 1
        if len(self.rows) < KEPT:
            self.rows.append(problem)
        elif self.on_error == "error":
            self.settle()

    def settle(self) -> None:
        """Raise one error with everything found so far, where it can not or shall not be skipped.

        Raises
        ------
        DatasetError
        """
        if self.whole or (self.rows and self.on_error == "error"):
            raise self.error([*self.whole, *self.rows])

    def error(self, problems: Iterable[Problem]) -> DatasetError:
        """Make the error for the given problems."""
        advice = "" if self.whole else SKIP_ADVICE
        return DatasetError(self.form, self.folder, problems, advice)


SKIP_ADVICE = (
    "\nRows that can not be read are left out, and counted, with `on_error='skip'` (on the command "
    "line `--on-error skip`)."
)


def printable(text: str, length: int = 200) -> str:
    """Text from a file, fit for a terminal: nothing invisible, and not longer than `length`."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:length])
    return shown if len(text) <= length else f"{shown}..."
