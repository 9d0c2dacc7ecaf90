"""What happened during a training, epoch by epoch."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass
class History:
    """Record of one or more phases.

    Attributes
    ----------
    records : list of dict
        One per epoch: ``phase``, ``epoch``, ``lr``, and for ``train/`` and ``validation/``:
        ``loss``, ``elbo`` (per observed number), ``rho/<site>`` (the correlation), and
        ``mse/<site>``; ``validation/selection`` is what the best epoch is chosen by.
    best : dict of str to int
        Epoch whose weights were kept, by phase; -1 if no epoch was better than the start.
    interrupted : bool
        The training was stopped by hand; the model holds the best weights so far.
    """

    records: list[dict] = field(default_factory=list)
    best: dict[str, int] = field(default_factory=dict)
    interrupted: bool = False

    def to_dataframe(self) -> pd.DataFrame:
        """One row per epoch, one column per quantity."""
        return pd.DataFrame(self.records)

    def phase(self, name: str) -> pd.DataFrame:
        """Rows of one phase, indexed by epoch, without columns that it does not fill."""
        frame = self.to_dataframe()
        return frame[frame["phase"] == name].set_index("epoch").dropna(axis="columns", how="all")

    def __repr__(self) -> str:
        state = ", interrupted" if self.interrupted else ""
        kept = ", ".join(
            f"{phase}: " + (f"best epoch {epoch}" if epoch >= 0 else "no epoch beat the start")
            for phase, epoch in self.best.items()
        )
        return f"History of {len(self.records)} epochs ({kept}{state})"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.to_dataframe().tail().to_html(float_format='{:.3g}'.format)}"
