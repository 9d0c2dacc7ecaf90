"""A Normal posterior in one form for five guides: Normal(loc, diag(scale^2) + factor factor^T)."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.guides.base import WeightGuide


class NormalGuide(WeightGuide):
    r"""Base of the guides whose posterior of a part is Normal.

    .. math:: w = \mathrm{loc} + \mathrm{scale} \odot \varepsilon + F \eta, \qquad
              \varepsilon, \eta \sim \mathrm{Normal}(0, I)

    over the D parameters of the part in one vector: the mean-field guide has no F, the full
    Laplace approximation no scale (F is then a root of the covariance), the low-rank ones have
    both, and a point estimate has neither. Parts are independent of each other.

    Attributes
    ----------
    learnt : dict
        By part: ``loc/<name>`` of each parameter, ``scale`` (D,) and ``factor`` (D, R), where
        they are not zero.
    """

    def learn(
        self,
        part: str,
        loc: Mapping[str, Tensor],
        scale: Tensor | None = None,
        factor: Tensor | None = None,
    ) -> None:
        """Take over the posterior of a part; `scale` and `factor` in the order of `loc`."""
        learnt = {f"loc/{name}": _own(w) for name, w in loc.items()}
        for key, value in (("scale", scale), ("factor", factor)):
            if value is not None:
                learnt[key] = _own(value)
        self.learnt[part] = learnt

    def loc(self, part: str) -> dict[str, Tensor]:
        """Posterior mean of each parameter, by name."""
        return {
            key.removeprefix("loc/"): w
            for key, w in self.learnt[part].items()
            if key.startswith("loc/")
        }

    def mean(self, part: str = "weights") -> Float[Tensor, " D"]:
        """Posterior mean of a part as one vector."""
        self._require_fitted()
        return flat(self.loc(part))

    def covariance(self, part: str = "weights") -> Float[Tensor, "D D"]:
        """Posterior covariance of a part; D may be too large to hold it."""
        mean, learnt = self.mean(part), self.learnt[part]
        scale = learnt.get("scale", torch.zeros_like(mean))
        factor = learnt.get("factor", mean.new_zeros(len(mean), 1))
        return torch.diag(scale.square()) + factor @ factor.mT

    def draws(self, num: int, seed: int) -> list[dict[str, Tensor]]:
        """See `WeightPosterior.draws`; a point estimate is one draw."""
        certain = not any({"scale", "factor"} & set(learnt) for learnt in self.learnt.values())
        return super().draws(1 if certain else num, seed)

    def _draw(self, part: str, generator: torch.Generator) -> dict[str, Tensor]:
        loc, learnt = self.loc(part), self.learnt[part]
        w = flat(loc)
        for key in ("scale", "factor"):
            if key in learnt:
                root = learnt[key]
                size = root.shape[-1:]
                noise = torch.randn(size, generator=generator, device=w.device, dtype=w.dtype)
                w = w + (root * noise if root.ndim == 1 else root @ noise)
        return unflatten(w, loc)


def _own(value: Tensor) -> Tensor:
    # In the order of a file: products with a matrix stored by columns differ in their last bit.
    return value.detach().clone(memory_format=torch.contiguous_format)


def flat(weights: Mapping[str, Tensor]) -> Float[Tensor, " D"]:
    """All parameters as one vector."""
    return torch.cat([w.reshape(-1) for w in weights.values()])


def unflatten(vector: Float[Tensor, " D"], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut a vector into parameters with the names and shapes of `like`."""
    pieces = vector.split([w.numel() for w in like.values()])
    return {
        name: piece.reshape(w.shape) for (name, w), piece in zip(like.items(), pieces, strict=True)
    }
