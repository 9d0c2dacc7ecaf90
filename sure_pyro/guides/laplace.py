"""Laplace approximation: a Normal at the fitted weights with the curvature found there."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.guides.curvature import diagonal_fisher, full_fisher
from sure_pyro.guides.normal import NormalGuide, flat
from sure_pyro.guides.program import WeightProgram

FULL_UP_TO = 2000  # parameters: 32 MB in float64, and a second to factorise


class LaplaceGuide(NormalGuide):
    r"""q(w) = Normal(w0, (F + P)^{-1}): fitted weights, Fisher information and prior precision.

    Exact where the log-likelihood is quadratic in the weights with Fisher information as its
    curvature: linear regression with known noise. The mean is the fitted point as it is; the
    prior widens nothing else. Nothing is trained: the cost is one pass over the data with
    ``D / 128`` double backward passes per batch (full), or `passes` backward passes (diagonal).

    Where it fails: the curvature at one point says nothing of other modes. The diagonal keeps
    the inverse of the diagonal and not the diagonal of the inverse, so it underestimates the
    variances of correlated weights, and in a deep network directions that the data leave open get
    the prior's full width: propagated through the network's nonlinearity (and not linearised),
    that overestimates the spread of the output.

    Parameters
    ----------
    over, prior_scale
        As in `WeightGuide`.
    structure : {"auto", "full", "diagonal"}
        Of the precision of each part. ``"auto"`` is full up to 2000 parameters (a head) and
        diagonal beyond (a reconstructor).
    passes : int
        Over the data, for the diagonal.
    """

    kind: ClassVar[str] = "laplace"

    def __init__(
        self,
        over: tuple[str, ...] = ("head",),
        prior_scale: float | None = None,
        structure: str = "auto",
        passes: int = 4,
    ):
        super().__init__(over, prior_scale)
        if structure not in ("auto", "full", "diagonal"):
            raise ValueError(
                f"`structure` must be 'auto', 'full' or 'diagonal'; got {structure!r}."
            )
        if passes < 1:
            raise ValueError(f"`passes` must be at least 1; got {passes}.")
        self.structure, self.passes = structure, passes

    def structure_for(self, num_parameters: int) -> str:
        """Which structure a part of so many parameters gets."""
        if self.structure != "auto":
            return self.structure
        return "full" if num_parameters <= FULL_UP_TO else "diagonal"

    def fit_curvature(
        self, program: WeightProgram, batches: Sequence[tuple], seed: int = 0
    ) -> "LaplaceGuide":
        """Learn a part from the curvature at the weights that the module has now.

        Parameters
        ----------
        program : WeightProgram
            Its module in evaluation mode.
        batches : sequence of tuple
            Arguments of the program that together stand for the full data.
        seed : int
            Of the targets that the diagonal draws.
        """
        fitted = program.fitted
        w = flat(fitted)
        precision = prior_precision(program)
        if self.structure_for(len(w)) == "full":
            root = inverse_root(full_fisher(program, batches) + precision.diag())
            self.learn(program.part, fitted, factor=root.to(w))
        else:
            precision = precision + diagonal_fisher(program, batches, self.passes, seed)
            self.learn(program.part, fitted, scale=precision.rsqrt().to(w))
        return self


def prior_precision(program: WeightProgram) -> Float[Tensor, " D"]:
    """Inverse variances of the prior, in one vector, float64."""
    scales = {name: torch.full_like(w, program.prior[name]) for name, w in program.fitted.items()}
    return flat(scales).double().square().reciprocal()


def inverse_root(precision: Float[Tensor, "D D"]) -> Float[Tensor, "D D"]:
    """R with R R^T = precision^-1, by Cholesky: precision = L L^T, R = L^-T."""
    L = torch.linalg.cholesky(precision)
    eye = torch.eye(len(L), dtype=L.dtype, device=L.device)
    return torch.linalg.solve_triangular(L.mT, eye, upper=True)
