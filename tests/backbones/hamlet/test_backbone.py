import json

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import check_backbone
from sure_pyro.backbones.hamlet import HAMLET
from sure_pyro.backbones.resnet import load_torchvision
from sure_pyro.data import Batch
from tests.backbones.hamlet.conftest import (
    GYRO,
    PHONE,
    RGB,
    VARIANTS,
    logits_by_hand,
    make_batch,
    make_hamlet,
)
from tests.backbones.test_resnet import torchvision_state


@pytest.mark.parametrize("merge", ["concatenation", "sum"])
@pytest.mark.parametrize("kind", VARIANTS)
def test_forward_by_its_equations_and_encode_then_fuse_is_forward(kind, merge):
    modalities = VARIANTS[kind]
    model, batch = make_hamlet(modalities, merge=merge), make_batch(modalities)
    y = model(batch)
    assert y.std() > 0.01
    for row in range(len(batch)):
        expected = logits_by_hand(model, batch, row)
        torch.testing.assert_close(y[row], expected, rtol=1e-4, atol=1e-5)
    latents = model.encode(batch)
    assert {z.shape for z in latents.values()} == {(5, 8)}
    h = model.fuse(latents)
    torch.testing.assert_close(model.readout(h.shape[1])(h), y, rtol=0, atol=1e-6)


def test_modalities_are_stacked_in_the_pinned_order():
    model, batch = make_hamlet(), make_batch()
    latents = model.encode(batch)
    turned = dict(reversed(latents.items()))
    torch.testing.assert_close(model.fuse(turned), model.fuse(latents), rtol=0, atol=0)
    shuffled = batch._with(features=dict(reversed(batch.features.items())))
    torch.testing.assert_close(model(shuffled), model(batch), rtol=0, atol=0)


def test_the_order_survives_a_file_that_sorts_its_keys():
    model, batch = make_hamlet([RGB, PHONE, GYRO], merge="sum"), make_batch()
    text = json.dumps(model.config, sort_keys=True)
    again = HAMLET(**json.loads(text))
    assert again.modalities == ("rgb", "acc_phone", "gyro")
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again.freeze()(batch), model(batch), rtol=0, atol=0)
    assert again.config == model.config


def test_a_missing_modality_moves_no_other_row():
    model, batch = make_hamlet(), make_batch(B=6)
    whole = model.fuse(model.encode(batch))
    available = torch.ones(6, 3, dtype=torch.bool)
    available[1, 0] = available[4, 1] = available[4, 2] = False
    latents = model.encode(batch.restrict(available))
    others = [0, 2, 3, 5]
    torch.testing.assert_close(model.fuse(latents)[others], whole[others], rtol=0, atol=0)
    for i, name in enumerate(model.modalities):
        latents[name][~available[:, i]] = torch.randn(8)
    moved = model.fuse(latents)
    torch.testing.assert_close(moved[others], whole[others], rtol=0, atol=0)
    assert (moved[[1, 4]] != whole[[1, 4]]).any(1).all()


@pytest.mark.parametrize("stored", [1e30, float("nan"), float("inf")])
def test_what_is_stored_under_a_missing_entry_moves_nothing(stored):
    model, batch = make_hamlet(), make_batch()
    available = torch.ones(5, 3, dtype=torch.bool)
    available[2, 0] = available[3, 1] = False
    features = {name: x.clone() for name, x in batch.features.items()}
    features["rgb"][2] = features["acc_phone"][3] = stored
    hidden = Batch(features, available, batch.target, padding=batch.padding)
    y = model.fuse(model.encode(hidden))
    expected = model.fuse(model.encode(batch.restrict(available)))
    torch.testing.assert_close(y, expected, rtol=0, atol=0)


def test_zeros_everywhere_stay_finite():
    model, batch = make_hamlet(), make_batch()
    zeros = {name: torch.zeros_like(x) for name, x in batch.features.items()}
    none = {name: torch.zeros_like(e) for name, e in batch.padding.items()}
    for padding in (batch.padding, none):
        latents = model.encode(batch._with(features=zeros, padding=padding))
        assert all(z.isfinite().all() for z in latents.values())
        assert model.fuse(latents).isfinite().all()


def test_gradients_reach_the_latents():
    model = make_hamlet()
    latents = {k: z.requires_grad_() for k, z in model.encode(make_batch()).items()}
    gradients = torch.autograd.grad(model.fuse(latents).square().sum(), list(latents.values()))
    assert all((g != 0).any() for g in gradients)


def test_frozen_batch_norm_and_dropout_do_not_move():
    model, batch = make_hamlet(dropout=0.9), make_batch()
    before = {k: x.clone() for k, x in model.state_dict().items()}
    model.train()
    torch.testing.assert_close(model(batch), model(batch), rtol=0, atol=0)
    assert all(torch.equal(x, before[k]) for k, x in model.state_dict().items())


def test_not_frozen_it_trains():
    model, batch = make_hamlet(freeze=False), make_batch(B=8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(model(batch), batch.target)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0]


def test_passes_the_check_of_every_backbone():
    check_backbone(make_hamlet(), make_batch())


def test_weights_of_torchvision_go_into_the_frames():
    donor, model = make_hamlet(seed=1), make_hamlet(seed=2)
    load_torchvision(
        model.encoder("rgb").steps.resnet, torchvision_state(donor.encoder("rgb").steps.resnet)
    )
    x = torch.randn(2, 3, 40, 40)
    resnets = [m.encoder("rgb").steps.resnet for m in (donor, model)]
    torch.testing.assert_close(resnets[1](x), resnets[0](x), rtol=0, atol=0)


def test_names_are_free():
    modalities = [PHONE | {"name": "acc.phone"}, GYRO | {"name": "keys"}]
    model = make_hamlet(modalities)
    batch = Batch({"acc.phone": torch.randn(2, 3, 5, 3), "keys": torch.randn(2, 3, 5, 2)})
    assert tuple(model.encode(batch)) == ("acc.phone", "keys")


def test_built_for_data():
    batch = make_batch()
    model = HAMLET.for_data(batch, 4, width=8, blocks=[1] * 4, resnet_width=2)
    assert model.config["modalities"] == VARIANTS["three"]
    assert model.freeze()(batch).shape == (5, 4)


def test_a_mask_may_stand_beside_the_steps():
    model, batch = make_hamlet([PHONE]), make_batch([PHONE])
    fields = {"samples": batch.features["acc_phone"], "attention_mask": batch.padding["acc_phone"]}
    beside = Batch({"acc_phone": fields}, target=batch.target)
    torch.testing.assert_close(model(beside), model(batch), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"must be one tensor.*'more': \(3,\)"):
        model(Batch({"acc_phone": fields | {"more": torch.zeros(5, 3)}}))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            {"rgb": (2, 3, 33, 33)},
            r"'rgb' must be \(B, S, 3, height, width\); got \(2, 3, 33, 33\)",
        ),
        ({"rgb": (2, 3, 33, 33, 3)}, r"'rgb' must be .*; got \(2, 3, 33, 33, 3\)"),
        ({"acc_phone": (2, 4, 5, 2)}, r"'acc_phone' must be \(B, S, samples, 3\); got"),
        ({"acc_phone": (2, 20, 3)}, r"'acc_phone' must be \(B, S, samples, 3\); got \(2, 20, 3\)"),
    ],
)
def test_features_of_another_shape(features, message):
    batch = make_batch(B=2, padded=False)
    wrong = {name: torch.zeros(shape) for name, shape in features.items()}
    with pytest.raises(ValueError, match=message):
        make_hamlet().encode(batch._with(features=batch.features | wrong))


def test_data_that_hamlet_does_not_take():
    with pytest.raises(ValueError, match=r"'text' has rows of shape \(7,\); HAMLET takes frames"):
        HAMLET.for_data(Batch({"text": torch.zeros(2, 7)}), 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modalities": [{"name": "rgb", "kind": "video"}]}, r"A modality is .*; got .*'video'"),
        ({"modalities": [{"name": "a", "kind": "windows"}]}, r"A modality is .*; got .*'windows'"),
        ({"modalities": [RGB | {"channels": 3}]}, r"A modality is .*; got .*'channels': 3"),
        ({"modalities": [RGB, RGB]}, r"each of its own name; got \['rgb', 'rgb'\]"),
        ({"modalities": []}, r"at least one, each of its own name; got \[\]"),
        ({"merge": "mean"}, r"`merge` must be one of .*; got 'mean'"),
        ({"num_heads": 3}, r"`width` must be a multiple of `num_heads`; got 8 and 3"),
        ({"num_heads": 0}, r"`width` must be a multiple of `num_heads`; got 8 and 0"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        HAMLET.tiny(**options)


def test_from_a_batch_with_gaps_to_a_prediction_by_both_methods():
    available = torch.ones(24, 3, dtype=torch.bool)
    available[::4, 0] = available[1::4, 1] = available[2::4, 1:] = False
    train, test = make_batch(B=24, seed=1), make_batch(B=24, seed=2, available=available)
    model = sp.SURE(make_hamlet(), reconstructor_options={"width": 8})
    sp.fit(model, train, train, epochs=1, seed=0, progress_bar=False)
    prediction = model.predict(test, propagate="both", num_samples=50)
    assert prediction.total.isfinite().all()
    assert (prediction.variance["rgb"][available[:, 0]] == 0).all()


def test_wrapping_changes_no_output():
    backbone, batch = make_hamlet(), make_batch(B=24)
    model = sp.SURE(backbone).initialize(batch)
    mean = model.predict(batch, propagate="none").mean
    torch.testing.assert_close(mean, backbone(batch), rtol=0, atol=1e-5)


def test_weights_follow_the_seed_and_the_global_generator_stays():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (HAMLET.tiny(seed=s).classifier.weight for s in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
