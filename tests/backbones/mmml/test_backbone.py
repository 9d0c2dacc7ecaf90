"""MMML at the seam: what is missing or padding moves nothing, and nothing breaks."""

import json

import pytest
import torch

from sure_pyro.backbones import Tokens, check_backbone
from sure_pyro.backbones.mmml import MMML, multi_task_loss
from sure_pyro.data import Batch
from tests.backbones.mmml.conftest import make, make_batch


def values(latent):
    return latent.values if isinstance(latent, Tokens) else latent


def noise_under(mask, x, size=1e6):
    """Different numbers where the mask is False."""
    if not x.is_floating_point():
        return torch.where(mask, x, 7)
    mask = mask.reshape(*mask.shape, *[1] * (x.ndim - mask.ndim))
    return torch.where(mask, x, size * torch.randn_like(x))


def test_it_passes_the_check_of_the_seam(backbone):
    check_backbone(backbone, make_batch(backbone))


def test_noise_in_padded_features_moves_nothing(backbone):
    batch = make_batch(backbone)
    noisy = {n: noise_under(batch.padding[n], x) for n, x in batch.features.items()}
    same = backbone.encode(batch._with(features=noisy))  # past the constructor, which would blank
    for name, latent in backbone.encode(batch).items():
        if isinstance(latent, Tokens):
            exists = latent.exists.unsqueeze(-1)
            assert torch.equal(latent.values * exists, same[name].values * exists)
        else:
            assert torch.equal(latent, same[name])


@pytest.mark.parametrize("size", [1.0, 1e30, float("nan")])
def test_noise_in_padded_latents_moves_nothing(backbone, size):
    latents = backbone.encode(make_batch(backbone))
    noisy = {
        name: Tokens(noise_under(z.exists, z.values, size), z.exists)
        if isinstance(z, Tokens)
        else z
        for name, z in latents.items()
    }
    assert torch.equal(backbone.fuse(noisy), backbone.fuse(latents))
    for head, y in backbone.outputs(latents).items():
        assert torch.equal(backbone.outputs(noisy)[head], y)


def test_the_other_rows_do_not_move_by_a_bit(backbone):
    batch = make_batch(backbone, B=6)
    full = backbone.encode(batch)
    for i, name in enumerate(backbone.modalities):
        available = torch.ones(6, len(backbone.modalities), dtype=torch.bool)
        available[[1, 3], i] = False
        gappy = batch.restrict(available)
        latents = backbone.encode(gappy)
        for other in backbone.modalities:
            kept = available[:, backbone.modalities.index(other)]
            assert torch.equal(values(latents[other])[kept], values(full[other])[kept])
        rows = available.all(1)
        assert torch.equal(backbone.fuse(latents)[rows], backbone.fuse(full)[rows]), name
        assert not torch.equal(backbone.fuse(latents)[1], backbone.fuse(full)[1])


@pytest.mark.parametrize("hidden", [1e30, float("nan")])
def test_values_under_missing_entries_move_nothing(backbone, hidden):
    batch = make_batch(backbone)
    available = torch.ones(3, len(backbone.modalities), dtype=torch.bool)
    available[0, 1] = available[1, 0] = False
    spoilt = dict(batch.features)
    spoilt["audio"] = spoilt["audio"].clone()
    spoilt["audio"][0] = hidden
    spoilt["text"] = spoilt["text"].clone()
    spoilt["text"][1] = 98
    outputs = backbone(Batch(batch.features, available, padding=batch.padding))
    for head, y in backbone(Batch(spoilt, available, padding=batch.padding)).items():
        assert torch.equal(outputs[head], y)
        assert y.isfinite().all()


def test_fields_with_a_mask_are_the_same_as_tensors_with_padding(backbone):
    available = torch.ones(3, len(backbone.modalities), dtype=torch.bool)
    available[1, 0] = available[2, 1] = False
    batch = make_batch(backbone, available=available)
    keys = {"text": "input_ids", "audio": "input_values"}
    fields = {
        name: {keys[name[:5].rstrip("_")]: x, "attention_mask": batch.padding[name].long()}
        for name, x in batch.features.items()
    }
    outputs = backbone(batch)
    for head, y in backbone(Batch(fields, available)).items():
        assert torch.equal(outputs[head], y)


def test_an_absent_context_is_an_empty_text_and_silence():
    backbone = make("cross_modal_context")
    batch = make_batch(backbone)
    available = torch.tensor([[True, True, False, False], [True] * 4, [True] * 4])
    absent = batch.restrict(available)
    text, audio = batch.features["text_context"].clone(), batch.features["audio_context"].clone()
    text[0], audio[0] = torch.tensor([0, 2, *[1] * 7]), 0.0
    padding = {name: mask.clone() for name, mask in batch.padding.items()}
    padding["text_context"][0] = torch.arange(9) < 2
    padding["audio_context"][0] = False  # as the authors have it
    empty = batch._with(
        features={**batch.features, "text_context": text, "audio_context": audio}, padding=padding
    )
    for head, y in backbone(empty).items():
        assert torch.equal(backbone(absent)[head], y)


def test_an_absent_modality_has_no_token_and_the_class_token_stays():
    backbone = make("cross_modal_v1")
    available = torch.tensor([[True, False], [False, True], [True, True]])
    batch = make_batch(backbone).restrict(available)
    latents = backbone.encode(batch)
    assert latents["text"].exists.any(1).tolist() == [True, False, True]
    assert latents["audio"].exists.any(1).tolist() == [False, True, True]
    assert backbone.fuse(latents).isfinite().all()


def test_nothing_at_all_gives_finite_outputs(backbone):
    batch = make_batch(backbone)
    nothing = Batch(
        batch.features, torch.zeros(3, len(batch.modalities), dtype=torch.bool), allow_empty=True
    )
    latents = {
        name: Tokens(z.values, torch.zeros_like(z.exists)) if isinstance(z, Tokens) else z
        for name, z in backbone.encode(nothing).items()
    }
    outputs = backbone.outputs(latents)
    assert all(y.isfinite().all() for y in outputs.values())
    assert torch.equal(outputs["M"][0], outputs["M"][2])


def test_gradients_reach_every_latent_and_none_the_padding(backbone):
    latents = backbone.encode(make_batch(backbone))
    leaves = {name: values(z).detach().requires_grad_() for name, z in latents.items()}
    given = {
        name: Tokens(leaves[name], z.exists) if isinstance(z, Tokens) else leaves[name]
        for name, z in latents.items()
    }
    backbone.fuse(given).square().sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad.isfinite().all()
        if isinstance(given[name], Tokens):
            assert (leaf.grad[~given[name].exists] == 0).all()
            assert (leaf.grad[given[name].exists].abs().sum(-1) > 0).all()
        else:
            assert (leaf.grad.abs().sum(-1) > 0).all()
    assert all(p.grad is None for p in backbone.parameters())


def test_the_order_of_frames_means_nothing():
    backbone = make("cross_modal_v1")
    latents = backbone.encode(make_batch(backbone))
    order = torch.tensor([1, 0, 2, 3, 4, 5, 6])  # among frames that all rows have
    moved = {**latents, "audio": Tokens(latents["audio"].values[:, order], latents["audio"].exists)}
    torch.testing.assert_close(backbone.fuse(moved), backbone.fuse(latents), rtol=0, atol=1e-6)


def test_sequences_without_a_mask_exist_in_full():
    backbone = make("cross_modal_v3")
    latents = backbone.encode(make_batch(backbone))
    plain = {name: z.values for name, z in latents.items()}
    full = {name: Tokens(z.values, torch.ones_like(z.exists)) for name, z in latents.items()}
    assert torch.equal(backbone.fuse(plain), backbone.fuse(full))


def test_its_config_builds_it_again(backbone):
    config = json.loads(json.dumps(backbone.config))
    again = MMML(**config)
    again.load_state_dict(backbone.state_dict())
    batch = make_batch(backbone)
    assert torch.equal(again.freeze()(batch)["M"], backbone(batch)["M"])


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator():
    state = torch.get_rng_state()
    a, b, c = (MMML.tiny(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    key = "network.CME_layers.0.lang_inter.dense.weight"
    assert torch.equal(a.state_dict()[key], b.state_dict()[key])
    assert not torch.equal(a.state_dict()[key], c.state_dict()[key])


def test_it_trains_with_dropout_and_masks_as_in_evaluation(backbone):
    network = MMML(**backbone.config).train()
    batch = make_batch(backbone)
    for name, latent in network.encode(batch).items():
        if isinstance(latent, Tokens):
            assert torch.equal(latent.exists, backbone.encode(batch)[name].exists)
    outputs = network(batch)
    multi_task_loss(outputs, torch.tensor([1.0, -2.0, 0.5])).backward()
    for name in ("T_output_layers.1", "A_output_layers.1", "fused_output_layers.1"):
        gradient = network.network.get_parameter(f"{name}.weight").grad
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
    assert not torch.equal(network(batch)["M"], outputs["M"])  # dropout


def test_frozen_it_stays_in_evaluation_mode(backbone):
    batch = make_batch(backbone)
    y = backbone(batch)["M"]
    assert torch.equal(backbone.train()(batch)["M"], y)
    assert not any(p.requires_grad for p in backbone.parameters())


def test_latents_that_are_missing_or_of_another_form_are_refused():
    cross, joined = make("cross_modal_v1"), make("concatenation")
    latents = cross.encode(make_batch(cross))
    with pytest.raises(ValueError, match=r"\['audio'\] are missing"):
        cross.fuse({"text": latents["text"]})
    with pytest.raises(ValueError, match=r"'concatenation' takes pooled latents \(B, D\)"):
        joined.fuse(latents)
    with pytest.raises(ValueError, match=r"'cross_modal_v1' takes sequences"):
        cross.outputs(joined.encode(make_batch(joined)))
