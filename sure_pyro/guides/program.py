"""A prior on named parameters of any module, and a likelihood that calls the module.

The program is what Pyro's autoguides and the curvature need; it knows nothing of SURE. Mini-batches
come as arguments, and are scaled to the full data here and nowhere else: subsampling plates are
redrawn behind one's back by an autoguide, and scaling in two places is the classic wrong ELBO.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor, nn

from sure_pyro.models.weights import with_weights

SMALLEST_PRIOR_SCALE = 1e-2


@dataclass(frozen=True, eq=False)
class WeightProgram:
    r"""p(w) and p(data | w) as one Pyro program over parameters of a module.

    .. math:: \log p(w) + \frac{N}{B} \sum_{b=1}^{B} \log p(\text{row}_b | w)

    so that the mean over mini-batches of equal size is the full-data log joint, with the prior
    counted once per data set. Divided by N (`CorrelationELBO` does that, equation 6) it is on the
    scale of one number.

    Parameters
    ----------
    model : nn.Module
        Whose parameters are uncertain.
    likelihood : callable
        ``likelihood(model, *batch)``: observed sample statements that use the module. Rows run
        along the first axis (``len``) of the first argument of the batch.
    names : tuple of str
        Of the uncertain parameters; all that ask for a gradient, if empty.
    num_rows : int
        N, rows of the full data.
    prior_scale : float, optional
        Standard deviation of the Normal prior around zero. By default that of each parameter
        tensor is the root mean square of its present values, at least 0.01 (empirical Bayes):
        a layer's weights are as large as its width asks for, and no single number fits all.
    part : str
        A name for this set of parameters.

    Raises
    ------
    ValueError
        If a name is no parameter of the module, or `num_rows` or `prior_scale` is not positive.
    """

    model: nn.Module
    likelihood: Callable[..., None]
    num_rows: int
    names: tuple[str, ...] = ()
    prior_scale: float | None = None
    part: str = "weights"

    def __post_init__(self) -> None:
        known = dict(self.model.named_parameters())
        unknown = [name for name in self.names if name not in known]
        if unknown:
            raise ValueError(f"`names` has {unknown}, but the module's parameters are {[*known]}.")
        if self.num_rows < 1:
            raise ValueError(f"`num_rows` must be positive; got {self.num_rows}.")
        if self.prior_scale is not None and not self.prior_scale > 0:
            raise ValueError(f"`prior_scale` must be positive; got {self.prior_scale}.")
        names = self.names or tuple(name for name, p in known.items() if p.requires_grad)
        object.__setattr__(self, "names", names)

    @cached_property
    def fitted(self) -> dict[str, Tensor]:
        """The parameters as they were when first asked for, by name."""
        known = dict(self.model.named_parameters())
        return {name: known[name].detach().clone() for name in self.names}

    @cached_property
    def prior(self) -> dict[str, float]:
        """Prior standard deviation of each parameter tensor."""
        if self.prior_scale is not None:
            return dict.fromkeys(self.names, self.prior_scale)
        rms = {name: w.square().mean().sqrt().item() for name, w in self.fitted.items()}
        return {name: max(value, SMALLEST_PRIOR_SCALE) for name, value in rms.items()}

    def __call__(self, *batch) -> None:
        """Run the program on a batch: a site for each parameter, and those of the likelihood."""
        weights = {
            name: pyro.sample(name, _normal(w, self.prior[name])) for name, w in self.fitted.items()
        }
        self.observe(weights, *batch)

    def observe(self, weights: Mapping[str, Tensor], *batch) -> None:
        """Run the likelihood of a batch under some weights, scaled to the full data."""
        with poutine.scale(scale=self.num_rows / len(batch[0])):
            with_weights(self.model, weights, lambda model: self.likelihood(model, *batch))


def _normal(like: Tensor, scale: float):
    return dist.Normal(torch.zeros_like(like), scale).to_event(like.ndim)
