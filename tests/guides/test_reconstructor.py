import pyro
import torch
from pyro import poutine

from sure_pyro.guides import ReconstructorGuide
from tests.models.conftest import make_batch, make_model


def guide_trace(batch):
    model = make_model(make_batch())
    latents = model.encode(batch)
    r = model.reconstruct(latents, latents.available)
    with pyro.poutine.seed(rng_seed=0):
        trace = poutine.trace(ReconstructorGuide()).get_trace(latents, latents.available, r)
    return trace, latents, r


def test_draws_exactly_what_some_row_lacks():
    trace, *_ = guide_trace(make_batch())
    sites = [name for name, site in trace.nodes.items() if name.startswith("z_")]
    assert sites == ["z_image_unobserved", "z_text_unobserved"]


def test_a_complete_batch_has_no_latent_variable():
    trace, *_ = guide_trace(make_batch(missing=False))
    assert not [name for name in trace.nodes if name.startswith("z_")]


def test_draws_come_from_the_reconstructor_and_only_missing_rows_count():
    trace, latents, r = guide_trace(make_batch())
    site = trace.nodes["z_image_unobserved"]
    assert torch.equal(site["fn"].base_dist.loc, r["image"].loc)
    assert torch.equal(site["fn"].base_dist.scale, r["image"].scale)
    assert torch.equal(site["mask"], ~latents.available["image"])


def test_has_no_parameters():
    assert not list(ReconstructorGuide().parameters())
