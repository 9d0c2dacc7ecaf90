"""What `compare` returns: its results, which read as a table and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from sure_pyro.comparison.reading import as_text
from sure_pyro.comparison.results import Results


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Results):
    """Models side by side: `Results` that show themselves."""

    def __repr__(self) -> str:
        return as_text(self)
