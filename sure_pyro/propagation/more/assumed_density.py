r"""Moment matching: assumed densities, layer by layer, for plain stacks of layers.

Every layer's output is taken as Gaussian again, with the mean and covariance that the layer
would give a Gaussian input (assumed density filtering):

* Linear, y = W x + b: exact, :math:`W m + b` and :math:`W S W^T`.
* ReLU and GELU, entry by entry, x ~ Normal(m, s^2): mean and variance of f(x), by closed forms
  (the variance for GELU by quadrature). The covariance of two entries, by Price's theorem to
  first order in theirs, is :math:`E[f'(x_i)]\,E[f'(x_j)]\,S_{ij}` [Price1958]_, with
  E[f'] = Phi(m / s) for ReLU.

Unlike Taylor it sees the whole width of the input and not only the slope at its mean; unlike
sampling it has no noise. Error enters where an activation's input is not Gaussian. Cost: one
pass with D x D matrices instead of vectors, for any number of outputs; no backward pass.

References
----------
.. [Price1958] A useful theorem for nonlinear devices having Gaussian inputs. IRE Trans. Inf.
   Theory 4(2), 69-72.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sure_pyro.equations import total_variance
from sure_pyro.propagation.inputs import Inputs, Mean, Variance
from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.more.quadrature import gaussian_moments
from sure_pyro.propagation.prepare import prepare

Sources: TypeAlias = dict[str, Tensor]  # covariance (B, D, D) by source
Activation: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def moment_matching(module: nn.Sequential, mean: Mean, variance: Variance) -> Moments:
    """Carry a latent variance through a stack of Linear, ReLU and GELU layers.

    Parameters
    ----------
    module : nn.Sequential
        Of ``Linear``, ``ReLU``, ``GELU``, ``Flatten``, ``Identity``, ``Dropout`` (taken as in
        eval mode) and stacks of these.
    mean, variance
        As in `sure_pyro.propagation.taylor`. Several latents are flattened and concatenated in
        the order of `mean`, which is what the module must expect.

    Returns
    -------
    Moments
        With the covariance of the outputs. The total is split over several sources in the
        shares in which they arrive: nonlinear layers see their sum only.

    Raises
    ------
    TypeError
        If the module holds another kind of layer.
    """
    if not isinstance(module, nn.Sequential):
        raise TypeError(f"`module` must be an nn.Sequential; got {type(module).__name__}.")
    inputs = prepare(module, mean, variance)
    # A covariance in half precision need not be one: no autocast here.
    with torch.no_grad(), torch.autocast(inputs.device.type, enabled=False):
        m = torch.cat([z.reshape(len(z), -1) for z in inputs.latents.values()], -1)
        m, sources = _through(module, m, _dense(inputs, m))
    variances = {name: S.diagonal(dim1=-2, dim2=-1) for name, S in sources.items()}
    return Moments(m, variances, sources, method="moment matching")


def _dense(inputs: Inputs, m: Tensor) -> Sources:
    """Covariance of the concatenated latents (B, D, D), by source."""
    sources, start = {}, 0
    for name, z in inputs.latents.items():
        size = z[0].numel()
        if name in inputs.covariances:
            one = torch.eye(size, dtype=m.dtype, device=m.device).expand(len(m), -1, -1)
            whole = m.new_zeros(*m.shape, m.shape[1])
            inside = slice(start, start + size)
            whole[:, inside, inside] = inputs.covariances[name].between(one)
            sources[name] = whole
        start += size
    return sources


def _through(module: nn.Module, m: Tensor, sources: Sources) -> tuple[Tensor, Sources]:
    match module:
        case nn.Sequential():
            for layer in module:
                m, sources = _through(layer, m, sources)
            return m, sources
        case nn.Linear():
            W = module.weight
            return module(m), {name: W @ S @ W.mT for name, S in sources.items()}
        case nn.ReLU() | nn.GELU():
            return _activate(relu if isinstance(module, nn.ReLU) else gelu, m, sources)
        case nn.Flatten() | nn.Identity() | nn.Dropout():
            return m, sources
    raise TypeError(
        "moment_matching knows Linear, ReLU, GELU, Flatten, Identity and Dropout; got "
        f"{type(module).__name__}. Use `taylor` or `sampling`, which take any function."
    )


def _activate(f: Activation, m: Tensor, sources: Sources) -> tuple[Tensor, Sources]:
    """Match an activation: the matched variance on the diagonal, gains beside it."""
    v = total_variance(S.diagonal(dim1=-2, dim2=-1) for S in sources.values())
    mean, variance, gain = f(m, v)
    share = (variance - gain.square() * v) / v.clamp_min(torch.finfo(v.dtype).tiny)
    # What the gains leave of the variance goes to the sources as they made the input's.
    return mean, {
        name: gain[:, :, None] * S * gain[:, None, :]
        + (share * S.diagonal(dim1=-2, dim2=-1)).diag_embed()
        for name, S in sources.items()
    }


def relu(m: Float[Tensor, "B D"], v: Float[Tensor, "B D"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of ReLU(x), and its gain E[ReLU'(x)], for x ~ Normal(m, v)."""
    s = v.sqrt().clamp_min(torch.finfo(v.dtype).tiny)
    cdf, pdf = _normal(m / s)
    mean = m * cdf + s * pdf
    square = (m.square() + v) * cdf + m * s * pdf
    return mean, (square - mean.square()).clamp_min(0), cdf


def gelu(m: Float[Tensor, "B D"], v: Float[Tensor, "B D"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of GELU(x) = x Phi(x), and its gain E[GELU'(x)], for x ~ Normal(m, v)."""
    cdf, pdf = _normal(m / (1 + v).sqrt())
    mean = m * cdf + v / (1 + v).sqrt() * pdf
    _, variance = gaussian_moments(F.gelu, m, v)
    return mean, variance, cdf + m * pdf / (1 + v) ** 1.5


def _normal(x: Tensor) -> tuple[Tensor, Tensor]:
    return torch.special.ndtr(x), torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
