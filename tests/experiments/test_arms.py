"""Arms take equal steps, and each moves what it says and nothing else."""

import pytest
import torch

import sure_pyro as sp
from experiments.arms import ARMS, Zeros, fusion_of, shared_out, steps_of, train_arm
from tests.models.conftest import make_batch


@pytest.fixture(scope="module")
def rows():
    return make_batch(B=60, missing=False), make_batch(B=30, seed=1, missing=False)


def trained(rows, arm, **options):
    backbone = sp.MLPBackbone.for_data(rows[0], latent_size=4, width=8)
    return train_arm(*rows, backbone=backbone, seed=0, arm=arm, epochs=2, **options)


def numbers(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("epochs", [2, 5, 40])
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_takes_all_epochs(arm, epochs):
    stages = shared_out(ARMS[arm], epochs)
    assert sum(number for _, number in stages) == epochs
    assert all(number >= 1 for _, number in stages)


def test_steps_count_the_last_incomplete_batch():
    assert steps_of(65, 10) == 20
    assert steps_of(64, 10) == 10


@pytest.mark.parametrize(
    ("arm", "moves"), [("two phases", False), ("joint", False), ("end to end", True)]
)
def test_only_arms_that_say_so_move_the_fusion_and_none_the_projectors(rows, arm, moves):
    before = sp.MLPBackbone.for_data(rows[0], latent_size=4, width=8)
    model = trained(rows, arm)
    assert torch.equal(numbers(model.backbone.projectors), numbers(before.projectors))
    assert torch.equal(numbers(fusion_of(model)), numbers(before.fusion)) != moves
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not model.training


def test_modality_dropout_sees_what_the_zero_filling_of_the_pretrained_model_sees(rows):
    train, _ = rows
    model = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4, width=8)).initialize(train)
    model.reconstructor = Zeros(model)
    hidden = sp.missing.hide_exactly(train, 1, 0)
    zero, filled = (model.pretrained(hidden, fill) for fill in ("zero", "reconstruction"))
    torch.testing.assert_close(zero, filled)
    assert trained(rows, "modality dropout").predict(hidden).reconstruction


def test_odds_change_what_is_learnt(rows):
    plain, equal, other = (
        numbers(trained(rows, "two phases", odds=odds).reconstructor)
        for odds in (None, {"text": 1.0}, {"text": 9.0})
    )
    assert torch.equal(plain, equal)
    assert not torch.equal(plain, other)
