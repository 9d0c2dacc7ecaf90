"""The reconstructor as its own guide: q(z_missing) = r(z_visible), at no extra divergence."""

from collections.abc import Mapping
from typing import cast

import pyro
from pyro import poutine
from torch import BoolTensor

from sure_pyro.models.latents import Latents, Masks
from sure_pyro.models.reconstructor import LocalPyroModule, LocScale


class ReconstructorGuide(LocalPyroModule):
    """Draw every missing latent from the distribution that the model gives it.

    Guide and model agree on the missing latents, so their terms in the ELBO cancel exactly: what
    is missing in the data neither helps nor hurts the bound, and what was hidden on purpose is
    scored by the likelihood. Parameters: none.
    """

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
        for name, r in reconstruction.items():
            available = latents.available[name]
            if bool(available.all()):
                continue
            tokens = pyro.plate(f"tokens_{name}", r.loc.shape[1], dim=-1)
            with rows, tokens, poutine.mask(mask=cast(BoolTensor, missing[name] & ~available)):
                pyro.sample(f"z_{name}_unobserved", r.distribution())
