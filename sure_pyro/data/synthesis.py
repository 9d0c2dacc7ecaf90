r"""Data with a known truth: a linear-Gaussian factor model with a dial for what modalities share.

.. math::
    s \sim N(0, I_F), \qquad
    z_i = \sqrt{\rho}\, A_i s + \sqrt{1 - \rho}\; \tau\, \epsilon_i, \qquad
    y = \sum_i W_i^T z_i + \text{noise} \cdot \eta

with share rho, rows of A_i of length 1 (so that every entry of z has variance 1), W scaled so that
the signal in y has variance 1, and eps, eta standard normal. If asked, tau varies by row: a further
modality ``context`` t ~ N(0, 1), independent of s, eps and eta and absent from the sum in y, sets
tau^2 = exp(h t - h^2 / 2), of mean 1, so that rows with the same mask differ in their uncertainty.

Given what is visible, everything is Gaussian and known: with c = (1 - rho) tau^2, and sums over the
visible entries d,

.. math::
    P = I + \frac{\rho}{c} \sum_d a_d a_d^T, \qquad
    E[s] = \frac{\sqrt{\rho}}{c} P^{-1} \sum_d a_d z_d, \qquad \operatorname{Cov}[s] = P^{-1},

which is the posterior of the factors in factor analysis (C. M. Bishop, Pattern Recognition and
Machine Learning, 2006, section 12.2.4).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.random import Seed, generator
from sure_pyro.data.validate import check_names, rows_in_words

CONTEXT = "context"
SIZES: Mapping[str, int] = {"a": 4, "b": 4, "c": 4}


class Gaussian(NamedTuple):
    """Moments of a modality given what is visible; variance 0 where it is visible itself."""

    mean: Float[Tensor, "B D"]
    variance: Float[Tensor, "B D"]


class OutputTruth(NamedTuple):
    """Moments of the output given what is visible, the variance in its two parts."""

    mean: Float[Tensor, "B C"]
    missing: Float[Tensor, "B C"]
    noise: Float[Tensor, "B C"]

    @property
    def variance(self) -> Float[Tensor, "B C"]:
        """Total variance: from what is missing, plus noise."""
        return self.missing + self.noise


class _Posterior(NamedTuple):
    values: Float64[Tensor, "B D"]
    visible: Bool[Tensor, "B D"]
    own: Float64[Tensor, "B 1"]  # c, the variance that an entry shares with nothing
    covariance: Float64[Tensor, "B F F"]  # of the factors
    mean: Float64[Tensor, "B F"]


@dataclass(frozen=True)
class SyntheticTruth:
    """The model behind a synthetic batch, and its exact answers.

    Attributes
    ----------
    loadings : dict of float64 Tensor, shapes ``(D_i, F)``
        A_i.
    weights : dict of float64 Tensor, shapes ``(D_i, C)``
        W_i; C = 1 for regression, the number of classes otherwise.
    share : float
        rho, in [0, 1): the share of every entry's variance that comes from the factors.
    noise : float
        Standard deviation of the output noise.
    heteroscedastic : float
        h, the spread of log tau^2 over rows; 0 for tau = 1.
    """

    loadings: dict[str, Tensor]
    weights: dict[str, Tensor]
    share: float
    noise: float
    heteroscedastic: float

    def conditional(self, batch: Batch) -> dict[str, Gaussian]:
        """Mean and variance of every modality given what is visible, ``(B, D_i)``.

        Parameters
        ----------
        batch : Batch
            With the modalities of this model, any of them missing, also in parts.

        Returns
        -------
        dict of Gaussian
            In the dtype of the batch; the visible entries themselves, with variance 0.

        Raises
        ------
        ValueError
            If modalities differ, or ``context`` is missing while tau depends on it: what is missing
            is then a mixture over tau, and not Gaussian.
        """
        p, A = self._posterior(batch), self._stacked(self.loadings)
        mean = self.share**0.5 * p.mean @ A.T  # (B, D)
        variance = self.share * torch.einsum("df,bfg,dg->bd", A, p.covariance, A) + p.own
        mean = torch.where(p.visible, p.values, mean)
        variance = torch.where(p.visible, 0.0, variance)
        sizes = [len(a) for a in self.loadings.values()]
        moments = zip(self.loadings, mean.split(sizes, 1), variance.split(sizes, 1), strict=True)
        return {n: Gaussian(_like(m, batch), _like(v, batch)) for n, m, v in moments}

    def covariance(self, batch: Batch) -> Float[Tensor, "B D D"]:
        """Full covariance of all entries, modality after modality, given what is visible.

        Raises
        ------
        ValueError
            As `conditional`.
        """
        p, A = self._posterior(batch), self._stacked(self.loadings)
        full = self.share * torch.einsum("df,bfg,eg->bde", A, p.covariance, A)
        full = full + torch.diag_embed(p.own.expand_as(p.values))
        missing = ~p.visible
        return _like(full * (missing[:, :, None] & missing[:, None, :]), batch)

    def output(self, batch: Batch) -> OutputTruth:
        """Mean and variance of the output given what is visible, ``(B, C)``.

        For regression that is y, for classes the noisy scores whose largest is the class.

        Raises
        ------
        ValueError
            As `conditional`.
        """
        p, A, W = self._posterior(batch), self._stacked(self.loadings), self._stacked(self.weights)
        z = torch.where(p.visible, p.values, self.share**0.5 * p.mean @ A.T)
        w = (~p.visible).double()[:, :, None] * W  # (B, D, C): weights of what is missing
        r = torch.einsum("df,bdc->bfc", A, w)
        shared = self.share * torch.einsum("bfc,bfg,bgc->bc", r, p.covariance, r)
        missing = shared + p.own * w.square().sum(1)
        noise = torch.full_like(missing, self.noise**2)
        return OutputTruth(_like(z @ W, batch), _like(missing, batch), _like(noise, batch))

    def _posterior(self, batch: Batch) -> _Posterior:
        self._check(batch)
        A = self._stacked(self.loadings)
        z = self._stacked(batch.features, 1)
        v = torch.cat([batch.recorded_entries(n) for n in self.loadings], 1).cpu()
        own = (1 - self.share) * self._tau2(batch)  # (B, 1)
        weighted = v / own
        identity = torch.eye(A.shape[1], dtype=torch.float64)
        P = identity + self.share * torch.einsum("bd,df,dg->bfg", weighted, A, A)
        covariance = torch.linalg.inv(P)
        pulled = self.share**0.5 * torch.einsum("bd,df->bf", weighted * z, A)
        mean = torch.einsum("bfg,bg->bf", covariance, pulled)
        return _Posterior(z, v, own, covariance, mean)

    def _tau2(self, batch: Batch) -> Float64[Tensor, "B 1"]:
        h = self.heteroscedastic
        if h == 0:
            return torch.ones(len(batch), 1, dtype=torch.float64)
        unknown = ~batch.recorded_entries(CONTEXT).cpu().flatten()
        if unknown.any():
            raise ValueError(
                f"{CONTEXT!r} is missing in {rows_in_words(unknown)}, but the spread depends "
                "on it: there is no closed form. Hide the other modalities only: "
                "`missing.mcar(..., modalities=[...])`."
            )
        return tau_squared(batch.features[CONTEXT].cpu().double(), h)

    def _check(self, batch: Batch) -> None:
        needed = list(self.loadings) + ([CONTEXT] if self.heteroscedastic else [])
        check_names(needed, "loadings", batch.features)

    def _stacked(self, parts: Mapping[str, Tensor], axis: int = 0) -> Tensor:
        return torch.cat([parts[name].cpu().double() for name in self.loadings], axis)


def synthetic(
    num_rows: int = 1000,
    *,
    sizes: Mapping[str, int] = SIZES,
    share: float = 0.7,
    num_factors: int = 3,
    noise: float = 0.3,
    heteroscedastic: float = 0.0,
    task: str = "regression",
    num_classes: int = 3,
    dtype: torch.dtype = torch.float32,
    seed: Seed = 0,
) -> tuple[Batch, SyntheticTruth]:
    """Draw a complete batch and the truth behind it.

    Parameters
    ----------
    num_rows : int
    sizes : mapping of str to int
        Modality names and their numbers of entries D_i.
    share : float, in [0, 1)
        How much modalities have in common. At 0 nothing can be reconstructed.
    num_factors : int
        F.
    noise : float
        Standard deviation of the output noise; the signal has standard deviation 1.
    heteroscedastic : float
        h >= 0: if positive, a modality ``context`` tells how widely a row scatters.
    task : {"regression", "classification"}
        y itself, ``(B,)``, or the class with the largest of `num_classes` such scores.
    num_classes : int
    dtype : torch.dtype
        Of features and target.
    seed : int or torch.Generator

    Returns
    -------
    batch : Batch
    truth : SyntheticTruth

    Raises
    ------
    ValueError
        If a size, number or share is out of range, or `task` is none of the choices.
    """
    C = {"regression": 1, "classification": num_classes}.get(task, 0)
    _check_settings(num_rows, sizes, share, num_factors, noise, heteroscedastic, task, C)
    draw = generator(seed)
    truth = _draw_truth(sizes, share, num_factors, noise, heteroscedastic, C, draw)
    s, t = _normal(draw, num_rows, num_factors), _normal(draw, num_rows, 1)
    tau = tau_squared(t, heteroscedastic).sqrt()
    z = {
        name: share**0.5 * s @ A.T + (1 - share) ** 0.5 * tau * _normal(draw, num_rows, len(A))
        for name, A in truth.loadings.items()
    }
    y = noise * _normal(draw, num_rows, C) + sum(z[name] @ W for name, W in truth.weights.items())
    features = z | ({CONTEXT: t} if heteroscedastic else {})
    target = y.squeeze(1).to(dtype) if task == "regression" else y.argmax(1)
    names = None if task == "regression" else [str(k) for k in range(C)]
    x = {name: value.to(dtype) for name, value in features.items()}
    return Batch(x, target=target, task=task, class_names=names), truth


def tau_squared(t: Float64[Tensor, "B 1"], h: float) -> Float64[Tensor, "B 1"]:
    """tau^2 = exp(h t - h^2 / 2), of mean 1 for t ~ N(0, 1)."""
    return (h * t - h**2 / 2).exp()


def _draw_truth(sizes, share, num_factors, noise, h, C, draw) -> SyntheticTruth:
    loadings = {name: _normal(draw, D, num_factors) for name, D in sizes.items()}
    loadings = {name: A / A.norm(dim=1, keepdim=True) for name, A in loadings.items()}
    A = torch.cat(list(loadings.values()))
    W = _normal(draw, len(A), C)
    # Var[w^T z] = rho |A^T w|^2 + (1 - rho) |w|^2, since tau^2 has mean 1.
    W = W / (share * (A.T @ W).square().sum(0) + (1 - share) * W.square().sum(0)).sqrt()
    weights = dict(zip(sizes, W.split(list(sizes.values())), strict=True))
    return SyntheticTruth(loadings, weights, share, noise, h)


def _check_settings(num_rows, sizes, share, num_factors, noise, h, task, C) -> None:
    if C == 0 and task != "classification":
        raise ValueError(f"`task` must be 'regression' or 'classification'; got {task!r}.")
    if not sizes or min(sizes.values()) < 1 or CONTEXT in sizes:
        raise ValueError(
            f"`sizes` needs modalities with at least one entry, none called {CONTEXT!r}; "
            f"got {dict(sizes)}."
        )
    if num_rows < 1 or num_factors < 1 or (task == "classification" and C < 2):
        raise ValueError(
            "`num_rows` and `num_factors` must be at least 1, `num_classes` at least 2; "
            f"got {num_rows}, {num_factors}, {C}."
        )
    if not 0 <= share < 1 or not noise >= 0 or not h >= 0:
        raise ValueError(
            "`share` must lie in [0, 1), `noise` and `heteroscedastic` must not be negative; "
            f"got {share}, {noise}, {h}."
        )


def _normal(draw: torch.Generator, *shape: int) -> Float64[Tensor, "_ _"]:
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


def _like(x: Tensor, batch: Batch) -> Tensor:
    return x.to(next(iter(batch.features.values())))
