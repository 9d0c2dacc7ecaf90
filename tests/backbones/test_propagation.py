"""Both ways of propagation through the named systems, where they must agree.

Weights are random and latents wide, so the variances as fitted are far from where a fusion is
linear. At a hundredth of the standard deviations it is, and then Taylor and sampling are two
independent ways to the same numbers: through masks, padding, special tokens and heads.
"""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.propagation import assert_agree, sampling, taylor
from tests.backbones.hamlet import conftest as hamlet
from tests.backbones.mmbt import conftest as mmbt
from tests.backbones.mmml import conftest as mmml


def mmml_of(variant):
    backbone = mmml.make(variant)
    return backbone, mmml.make_batch(backbone, B=6, target=torch.linspace(-3, 3, 6))


SYSTEMS = {
    "MMML, concatenation": lambda: mmml_of("concatenation"),
    "MMML, cross-modal v2": lambda: mmml_of("cross_modal_v2"),
    "MMML, context": lambda: mmml_of("cross_modal_context"),
    "MMBT": lambda: (mmbt.make_mmbt(), mmbt.make_batch(B=6)),
    "HAMLET": lambda: (hamlet.make_hamlet(), hamlet.make_batch(B=6)),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_taylor_and_sampling_agree_source_by_source(system):
    """Wrong alarms: at most 1 % by the test of equivalence; the seed is fixed."""
    torch.manual_seed(0)
    backbone, batch = SYSTEMS[system]()
    gappy = sp.missing.hide_exactly(batch, 1, seed=0)
    model = sp.SURE(backbone).initialize(batch).eval()
    with torch.no_grad():
        latents = model.encode(gappy)
        reconstruction = model.reconstruct(latents, latents.available)
        mean, variance, exists = model.fusion_input(latents, latents.available, reconstruction)
    small = {name: 1e-4 * s2 for name, s2 in variance.items()}
    expected = taylor(model.respond, mean, small, known=exists)
    options = {"known": exists, "num_samples": 500, "control": "taylor", "seed": 0}
    drawn = sampling(model.respond, mean, small, **options)
    assert set(expected.sources) == {*small, "head"}
    for i, name in enumerate(batch.modalities):
        if name in small:  # a row has a source exactly where it lacks the modality
            reached = expected.sources[name].amax(1) > 0
            assert torch.equal(reached, ~gappy.available[:, i])
    assert_agree(expected, drawn)
