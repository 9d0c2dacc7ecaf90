r"""Back from latents to features, so that a reconstruction can be looked at.

Ridge regression from the latents of a modality to its features, fitted on training rows. Being
linear it carries a variance exactly: with features x = W z + b + r and errors of the latents of
standard deviations sigma and correlation C,

.. math:: \operatorname{Var}[x_j] = \sum_{kl} W_{jk} \sigma_k C_{kl} \sigma_l W_{jl}
          + \operatorname{Var}[r_j]

The model states sigma, one per latent entry, and no C. C is measured on held-out rows under random
masks: the errors of neighbouring entries go together, and leaving that out would make a pixel many
times too unsure. The residual r is what the latents do not hold of the features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import Ridge
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import draw_masks
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.hidden import Hidden, hidden_latents
from sure_pyro.models import SURE


@dataclass(frozen=True, eq=False)
class Decoder:
    """Linear map from one modality's latents to its features, in the features' own units.

    Parameters
    ----------
    ridge : Ridge
    correlation : ndarray, shape (D, D)
        C, of the errors of the latents.
    residual : ndarray, shape (F,)
        Variance of what it misses, on held-out rows.
    shape : tuple of int
        Of the features of a row; F is its product.
    r2 : float
        Share of the held-out variance of the features that the latents hold.
    """

    ridge: Ridge
    correlation: Float[np.ndarray, "D D"]
    residual: Float[np.ndarray, " F"]
    shape: tuple[int, ...]
    r2: float

    def mean(self, z: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n ..."]:
        """Features of latents."""
        return self.ridge.predict(z).reshape(-1, *self.shape)

    def sd(self, sigma: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n ..."]:
        """Standard deviation of the features, from that of the latents and the residual."""
        W = self.ridge.coef_.reshape(-1, sigma.shape[1])  # (F, D)
        W_sigma = W * sigma[:, None]  # (n, F, D)
        variance = ((W_sigma @ self.correlation) * W_sigma).sum(-1) + self.residual
        return np.sqrt(variance).reshape(-1, *self.shape)


def fit_decoders(
    model: SURE, train: Batch, held_out: Batch, seed: int, alpha: float = 1.0
) -> dict[str, Decoder]:
    """One decoder for each modality of one tensor that both parts have.

    Parameters
    ----------
    model : SURE
        Fitted.
    train, held_out : Batch
        To fit on, and to measure correlation and residual on.
    seed : int
        Of the masks on the held-out rows.
    alpha : float
        Of the ridge; latents are standardised.
    """
    masked, decoders = draw_masks(held_out, seed), {}
    reconstruction = model.predict(masked, "none").reconstruction
    errors = hidden_latents(model, masked, reconstruction)
    for name, x in train.features.items():
        if not isinstance(x, Tensor):
            continue  # several fields are no picture or curve
        fitted, measured = _pair(model, train, name), _pair(model, held_out, name)
        if len(fitted[0]) > 1 and len(measured[0]) > 1:
            C = _correlation(errors[name]) if name in errors else np.eye(fitted[0].shape[1])
            decoders[name] = _fit(fitted, measured, C, alpha)
    return decoders


Pair = tuple[np.ndarray, np.ndarray]


def _correlation(h: Hidden) -> np.ndarray:
    """Correlation of the standardised errors, shrunk a little so that few rows do no harm."""
    r = (h.truth - h.loc) / h.sigma
    second = r.T @ r / len(r)
    scale = np.sqrt(np.diag(second).clip(min=1e-12))
    weight = len(r) / (len(r) + r.shape[1])
    return weight * second / np.outer(scale, scale) + (1 - weight) * np.eye(len(second))


def _fit(train: Pair, held_out: Pair, correlation: np.ndarray, alpha: float) -> Decoder:
    (z, x), (z_new, x_new) = train, held_out
    shape = x.shape[1:]
    x, x_new = x.reshape(len(x), -1), x_new.reshape(len(x_new), -1)
    ridge = Ridge(alpha=alpha).fit(z, x)
    miss = np.square(x_new - ridge.predict(z_new).reshape(x_new.shape))
    spread = np.square(x_new - x.mean(0)).sum()
    r2 = float(1 - miss.sum() / spread) if spread else 0.0
    return Decoder(ridge, correlation, miss.mean(0), shape, r2)


def _pair(model: SURE, batch: Batch, name: str) -> Pair:
    """Latents (n, D) and features (n, *event) of the rows that have the modality."""
    rows = batch.available[:, batch.modalities.index(name)]
    z = model.encode(batch).values[name].flatten(1)
    return as_float64(z[rows]), as_float64(batch.features[name][rows])
