"""Latents that were hidden on purpose: the truth, and what a model makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sure_pyro.compare.arrays import as_float64
from sure_pyro.compare.masks import MaskedRows
from sure_pyro.models import SURE

MINIMUM_ROWS = 8
"""Cells (mask, hidden modality) with fewer rows give no correlation worth averaging."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """Latents of one modality that were hidden on purpose, in standard deviations of the latent.

    Parameters
    ----------
    where : ndarray of int, shape (n,)
        Their rows in the masked batch.
    truth, loc, sigma : ndarray, shape (n, D)
        Sequences are flattened.
    """

    where: Int[np.ndarray, " n"]
    truth: Float[np.ndarray, "n D"]
    loc: Float[np.ndarray, "n D"]
    sigma: Float[np.ndarray, "n D"]

    def among(self, rows: Bool[np.ndarray, " N"]) -> Hidden:
        """Those in the rows chosen."""
        kept = rows[self.where]
        return Hidden(self.where[kept], self.truth[kept], self.loc[kept], self.sigma[kept])


def hidden_latents(model: SURE, masked: MaskedRows, reconstruction: Mapping) -> dict[str, Hidden]:
    """Truth and reconstruction of what was hidden on purpose, by modality.

    Parameters
    ----------
    model : SURE
    masked : MaskedRows
    reconstruction : mapping of str to LocScale
        Of ``masked.batch``, as in ``Prediction.reconstruction``.
    """
    truth = model.encode(masked.complete).values
    found = {}
    for name, (loc, scale) in reconstruction.items():
        where = masked.hidden_on_purpose(name)
        if len(where):
            parts = (truth[name][masked.row[where]], loc[where], scale[where])
            found[name] = Hidden(where, *(as_float64(part.flatten(1)) for part in parts))
    return found
