"""An amortised posterior of the missing latents that also sees the target, for joint training."""

from collections.abc import Callable, Mapping
from typing import cast

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import BoolTensor, Tensor, nn

from sure_pyro.equations import fusion_input
from sure_pyro.models import SURE
from sure_pyro.models.latents import Latents, Masks
from sure_pyro.models.reconstructor import (
    LocalPyroModule,
    LocScale,
    fully_connected,
)
from sure_pyro.precision import at_least_single


class AmortisedGuide(LocalPyroModule):
    r"""q(z_missing | z_visible, y): the reconstruction, times what the target says of the latent.

    .. math:: \frac{1}{\tilde\sigma_i^2} = \frac{1}{\sigma_i^2} + \tau_i, \qquad
              \tilde\mu_i = \tilde\sigma_i^2
                  \left(\frac{\mu_i}{\sigma_i^2} + \tau_i m_i\right)

    The reconstructor gives (mu_i, sigma_i), which is the prior of a missing latent; a network of
    (z_visible, visible, y) gives m_i and the precision tau_i >= 0, which starts near zero, so that
    the guide starts as the reconstructor. The form is exact for a linear-Gaussian model, whose
    likelihood of y is just such a factor. Same call and sites as `ReconstructorGuide`, to whose
    missing latents it is a twin; their divergence from the reconstructor is part of the ELBO.

    Where it fails: only what is missing in the data is a latent variable, so complete data train
    nothing here. One Gaussian per latent entry can not follow a posterior with several modes.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    target_size : int
        T, columns of the encoded target.
    encode : callable, optional
        From the target of the batch to numbers (B, T); by default its columns as they are.
    width : int
        Of the hidden layers; 0 makes the network linear.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        target_size: int,
        encode: Callable[[Tensor], Tensor] | None = None,
        width: int = 64,
    ):
        super().__init__()
        self.shapes = dict(shapes)
        self.encode = encode or _columns
        size = sum(L * D + L for L, D in self.shapes.values()) + target_size
        outputs = sum(2 * L * D for L, D in self.shapes.values())
        hidden = (width, width) if width else ()
        self.network = fully_connected((size, *hidden, outputs))
        last = cast(nn.Linear, self.network[-1])
        with torch.no_grad():  # m = 0 and a small tau: the reconstructor, nearly
            last.weight.mul_(0.1)
            last.bias.zero_()

    @classmethod
    def of(cls, model: SURE, width: int = 64) -> "AmortisedGuide":
        """Make the guide of an initialised model, which sees targets as its head does."""
        C, like = model.head.mean.out_features, model.space.like

        def encode(target: Tensor) -> Tensor:
            observed = model.head.observed(target)
            if model.head.task == "classification":
                observed = nn.functional.one_hot(observed.long(), C)
            return observed.reshape(len(observed), C).to(like)

        return cls(model.space.shapes, C, encode, width).to(like)

    def posterior(
        self, latents: Latents, visible: Masks, reconstruction: Mapping[str, LocScale]
    ) -> dict[str, LocScale]:
        """Location and scale of q for every modality and row; arguments as in `SURE.forward`."""
        if latents.target is None:
            raise ValueError("The amortised guide sees the target, and `latents` has none.")
        target = self.encode(latents.target)  # (B, T)
        mean = {n: torch.zeros_like(z) for n, z in latents.values.items()}  # in standard units
        seen = [fusion_input(z, mean[n], visible[n]).flatten(1) for n, z in latents.values.items()]
        masks = [visible[n].to(target) for n in latents.values]
        output = at_least_single(self.network(torch.cat([*seen, *masks, target], -1)))
        pieces = output.split([2 * L * D for L, D in self.shapes.values()], -1)
        found = {}
        for (name, (L, D)), piece in zip(self.shapes.items(), pieces, strict=True):
            m, raw = piece.unflatten(-1, (L, 2 * D)).chunk(2, -1)
            tau = nn.functional.softplus(raw - 3)
            prior = reconstruction[name].scale.square().reciprocal()
            precision = prior + tau
            loc = (prior * reconstruction[name].loc + tau * m) / precision
            found[name] = LocScale(loc, precision.rsqrt())
        return found

    def forward(
        self,
        latents: Latents,
        visible: Masks,
        reconstruction: Mapping[str, LocScale],
        *args,
        **kwargs,
    ) -> None:
        """Sample ``z_<modality>_unobserved`` for every modality that the batch lacks somewhere."""
        missing = latents.missing(visible)
        rows = pyro.plate("rows", len(latents), dim=-2)
        found = self.posterior(latents, visible, reconstruction)
        for name, (loc, scale) in found.items():
            available = latents.available[name]
            if bool(available.all()):
                continue
            fn = dist.Normal(loc, scale, validate_args=False).to_event(1)
            tokens = pyro.plate(f"tokens_{name}", loc.shape[1], dim=-1)
            with rows, tokens, poutine.mask(mask=cast(BoolTensor, missing[name] & ~available)):
                pyro.sample(f"z_{name}_unobserved", fn)


def _columns(target: Tensor) -> Tensor:
    return target.reshape(len(target), -1)
