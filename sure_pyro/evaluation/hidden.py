"""Latents that were hidden on purpose: reconstruction beside truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.models import SURE


@dataclass(frozen=True, eq=False)
class Hidden:
    """Latents of one modality that were hidden on purpose, in standard deviations of the latent.

    Parameters
    ----------
    where : ndarray of int, shape (n,)
        Their rows in the masked batch.
    truth, loc, sigma : ndarray, shape (n, D)
        Sequences are flattened.
    known : bool ndarray, shape (n, D), optional
        False at entries whose truth was never recorded (padding); None: all are known.
    """

    where: Int[np.ndarray, " n"]
    truth: Float[np.ndarray, "n D"]
    loc: Float[np.ndarray, "n D"]
    sigma: Float[np.ndarray, "n D"]
    known: Bool[np.ndarray, "n D"] | None = None

    def among(self, rows: Bool[np.ndarray, " N"]) -> Hidden:
        """Those in the rows chosen."""
        kept = rows[self.where]
        known = None if self.known is None else self.known[kept]
        return Hidden(self.where[kept], self.truth[kept], self.loc[kept], self.sigma[kept], known)

    def pair(self) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, "n D"]]:
        """Variance and squared error of each entry.

        An entry whose truth is not known gets the mean of those in its row that are: the row keeps
        its mean, and an array has no holes.
        """
        s2, e2 = np.square(self.sigma), np.square(self.truth - self.loc)
        if self.known is None:
            return s2, e2
        count = self.known.sum(1, keepdims=True)
        means = ((x * self.known).sum(1, keepdims=True) / count for x in (s2, e2))
        u, e = (np.where(self.known, x, m) for x, m in zip((s2, e2), means, strict=True))
        return u, e


def hidden_latents(model: SURE, masked: MaskedRows, reconstruction: Mapping) -> dict[str, Hidden]:
    """Truth and reconstruction of what was hidden on purpose, by modality.

    Parameters
    ----------
    model : SURE
    masked : MaskedRows
    reconstruction : mapping of str to LocScale
        Of ``masked.batch``, as in ``Prediction.reconstruction``.
    """
    latents = model.encode(masked.complete)
    found = {}
    for name, (loc, scale) in reconstruction.items():
        tokens = latents.available[name].cpu().numpy()[masked.row]  # (N, L)
        where = masked.hidden_on_purpose(name)
        where = where[tokens[where].any(1)]
        if len(where):
            truth = latents.values[name][masked.row[where]]
            parts = [as_float64(x.flatten(1)) for x in (truth, loc[where], scale[where])]
            every = tokens[where]
            known = None if every.all() else np.repeat(every, loc.shape[-1], axis=1)
            found[name] = Hidden(where, parts[0], parts[1], parts[2], known)
    return found
