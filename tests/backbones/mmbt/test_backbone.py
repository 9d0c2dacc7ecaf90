import copy
import json
import sys

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import Tokens, check_backbone
from sure_pyro.backbones.mmbt import MMBT, positive_weights
from sure_pyro.backbones.mmbt.network import bert_model
from sure_pyro.data import Batch
from sure_pyro.objectives import PositiveWeights
from tests.backbones.mmbt.conftest import make_batch, make_mmbt, official
from tests.backbones.test_resnet import torchvision_state

SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
TIED = ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm")


@pytest.mark.parametrize("N", range(1, 10))
def test_forward_is_the_official_forward(N):
    model, batch = make_mmbt(num_image_embeds=N), make_batch()
    mask = batch.padding["text"]
    ids, image = batch.features["text"], batch.features["image"]
    expected = official(model, ids, mask, mask.long(), image, N)
    assert expected.std() > 0.1
    torch.testing.assert_close(model(batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("N", [1, 3, 6, 9])
def test_encode_then_fuse_is_forward(N, tap):
    model, batch = make_mmbt(num_image_embeds=N, tap=tap), make_batch()
    latents = model.encode(batch)
    assert latents["image"].shape == (5, N, 16)
    assert latents["text"].values.shape == (5, 6, 16)
    y = model.readout(16)(model.fuse(latents))
    torch.testing.assert_close(y, model(batch), rtol=0, atol=1e-6)


def test_segments_of_two_sentences_are_part_of_the_embedded_latent_only():
    batch = make_batch()
    segment = (torch.arange(6) % 2).expand(5, 6).clone()
    parts = {"input_ids": batch.features["text"], "token_type_ids": segment}
    batch = batch._with(features={**batch.features, "text": parts})
    model = make_mmbt()
    mask = batch.padding["text"]
    expected = official(model, parts["input_ids"], mask, segment, batch.features["image"], 1)
    y = model.clf(model.fuse(model.encode(batch)))
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r'tap "proj" every token is in segment 1.*tap="embed"'):
        make_mmbt(tap="proj").encode(batch)


def test_a_mask_among_the_fields_is_the_mask_beside_them(tap):
    model = make_mmbt(tap=tap)
    beside, among = make_batch(), make_batch(fields=True)
    torch.testing.assert_close(model(among), model(beside), rtol=0, atol=0)
    assert torch.equal(model.encode(among)["text"].exists, beside.padding["text"])


def test_block_is_what_stands_in_front_of_the_words(tap):
    model, batch = make_mmbt(num_image_embeds=3, tap=tap), make_batch()
    image = model.encode(batch)["image"]
    block = model.image_block(image)
    assert block.shape == (5, 5, 16)
    other = model.image_block(torch.randn(image.shape))
    torch.testing.assert_close(block[:, [0, 4]], other[:, [0, 4]], rtol=0, atol=0)
    assert (block[:, 1:4] != other[:, 1:4]).any(-1).all()


def test_a_missing_modality_moves_no_other_row(tap):
    model, batch = make_mmbt(num_image_embeds=3, tap=tap), make_batch(B=6)
    whole = model.fuse(model.encode(batch))
    available = torch.ones(6, 2, dtype=torch.bool)
    available[1, 0] = available[4, 1] = False  # no text, no image
    latents = model.encode(batch.restrict(available))
    others = [0, 2, 3, 5]
    torch.testing.assert_close(model.fuse(latents)[others], whole[others], rtol=0, atol=0)
    filled = replaced(latents, {"text": 1, "image": 4})
    moved = model.fuse(filled)
    torch.testing.assert_close(moved[others], whole[others], rtol=0, atol=0)
    assert (moved[[1, 4]] != whole[[1, 4]]).any(1).all()


def replaced(latents, rows):
    """Random latents in one row per modality; a reconstructed text has all of its tokens."""
    text, image = latents["text"], latents["image"].clone()
    values, exists = text.values.clone(), text.exists.clone()
    values[rows["text"]] = torch.randn(values.shape[1:])
    exists[rows["text"]] = True
    image[rows["image"]] = torch.randn(image.shape[1:])
    return {"text": Tokens(values, exists), "image": image}


@pytest.mark.parametrize("stored", [0.0, 1e30, float("nan"), float("inf")])
def test_what_is_stored_under_a_missing_image_moves_nothing(stored):
    model, batch = make_mmbt(), make_batch()
    available = torch.ones(5, 2, dtype=torch.bool)
    available[2, 1] = False
    features = {**batch.features, "image": batch.features["image"].clone()}
    features["image"][2] = stored
    hidden = Batch(features, available, batch.target, padding=batch.padding, task="multilabel")
    expected = model.fuse(model.encode(batch.restrict(available)))
    torch.testing.assert_close(model.fuse(model.encode(hidden)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("noise", [1.0, 1e30, float("nan"), float("inf")])
def test_noise_at_padding_moves_the_output_by_exactly_zero(noise, tap):
    model, batch = make_mmbt(tap=tap), make_batch()
    latents = model.encode(batch)
    values, exists = latents["text"]
    assert not exists.all()
    noisy = torch.where(exists.unsqueeze(-1), values, noise * torch.randn(values.shape))
    y = model.fuse({**latents, "text": Tokens(noisy, exists)})
    torch.testing.assert_close(y, model.fuse(latents), rtol=0, atol=0)


def test_no_words_at_all_equal_a_text_of_no_length(tap):
    model, batch = make_mmbt(tap=tap), make_batch()
    latents = model.encode(batch)
    values, exists = latents["text"]
    masked = model.fuse({**latents, "text": Tokens(values, torch.zeros_like(exists))})
    none = model.fuse({**latents, "text": Tokens(values[:, :0], exists[:, :0])})
    torch.testing.assert_close(masked, none, rtol=0, atol=1e-6)


def test_a_text_without_a_mask_has_all_of_its_tokens(tap):
    model, batch = make_mmbt(tap=tap), make_batch()
    latents = model.encode(batch)
    values, exists = latents["text"]
    expected = model.fuse({**latents, "text": Tokens(values, torch.ones_like(exists))})
    torch.testing.assert_close(model.fuse({**latents, "text": values}), expected, rtol=0, atol=0)


def test_zeros_everywhere_stay_finite(tap):
    model = make_mmbt(tap=tap)
    features = {"text": torch.zeros(2, 6, dtype=torch.long), "image": torch.zeros(2, 3, 64, 64)}
    parts = {"input_ids": features["text"], "attention_mask": torch.zeros(2, 6, dtype=torch.long)}
    for text in (features["text"], parts):
        batch = Batch(features)._with(features={**features, "text": text})
        latents = model.encode(batch)
        assert latents["text"].values.isfinite().all()
        assert latents["image"].isfinite().all()
        assert model.fuse(latents).isfinite().all()


def test_gradients_reach_the_latents(tap):
    model, batch = make_mmbt(num_image_embeds=2, tap=tap), make_batch()
    latents = model.encode(batch)
    values, exists = latents["text"]
    image = latents["image"].requires_grad_()
    values = values.requires_grad_()
    y = model.fuse({"text": Tokens(values, exists), "image": image})
    to_image, to_text = torch.autograd.grad(y.square().sum(), (image, values))
    assert (to_image != 0).any(-1).all()
    assert ((to_text != 0).any(-1) == exists).all()


def test_order_of_the_modalities_is_the_data_s():
    batch = make_batch()
    turned = batch._with(features=dict(reversed(batch.features.items())))
    model, other = make_mmbt(), make_mmbt(modalities=("image", "text"))
    assert tuple(other.encode(turned)) == other.modalities == turned.modalities
    torch.testing.assert_close(other(turned), model(batch), rtol=0, atol=0)


def test_passes_the_check_of_every_backbone(tap):
    check_backbone(make_mmbt(tap=tap), make_batch())


def test_config_builds_it_again():
    model = make_mmbt(num_labels=4, num_image_embeds=3, tap="proj")
    again = MMBT(**json.loads(json.dumps(model.config)))
    again.load_state_dict(model.state_dict())
    batch = make_batch()
    torch.testing.assert_close(again.freeze()(batch), model(batch), rtol=0, atol=0)
    assert again.config == model.config


def test_classifier_of_the_encoder_is_stored_and_never_used():
    model, batch = make_mmbt(), make_batch()
    expected = model(batch)
    assert "enc.clf.weight" in model.state_dict()
    with torch.no_grad():
        model.enc.clf.weight.fill_(float("nan"))
    torch.testing.assert_close(model(batch), expected, rtol=0, atol=0)


def is_tied(model):
    text, image = model.enc.txt_embeddings, model.enc.img_embeddings
    return all(getattr(text, name) is getattr(image, name) for name in TIED)


def test_embeddings_stay_tied_whatever_is_done_to_them():
    model = make_mmbt()
    assert is_tied(model)
    other = copy.deepcopy(model)
    assert is_tied(other)
    assert other.enc.txt_embeddings.LayerNorm is not model.enc.txt_embeddings.LayerNorm
    other.load_state_dict(model.state_dict())
    other.load_state_dict(model.state_dict(), assign=True)
    assert is_tied(other.double().freeze())
    weights = [
        other.enc.get_parameter(f"{e}_embeddings.word_embeddings.weight") for e in ("txt", "img")
    ]
    assert weights[0] is weights[1]


def test_untied_weights_are_no_mmbt():
    state = {k: x.clone() for k, x in make_mmbt().state_dict().items()}
    state["enc.img_embeddings.LayerNorm.bias"] += 1
    with pytest.raises(
        RuntimeError, match=r"img_embeddings.LayerNorm.bias differs from the text's"
    ):
        MMBT.tiny().load_state_dict(state)


def test_pretrained_towers_are_taken_over():
    donor, model = make_mmbt(seed=1), MMBT.tiny()
    bert = bert_model(donor.config["bert"])
    model.start_from(bert, torchvision_state(donor.enc.img_encoder.model))
    torch.testing.assert_close(
        model.enc.img_embeddings.word_embeddings.weight, bert.embeddings.word_embeddings.weight
    )
    for key, x in donor.enc.img_encoder.model.state_dict().items():
        torch.testing.assert_close(model.enc.img_encoder.model.state_dict()[key], x)
    assert is_tied(model)


def test_half_trained_batch_norm_does_not_move_when_frozen():
    model, batch = make_mmbt(), make_batch()
    before = {k: x.clone() for k, x in model.state_dict().items()}
    model.train()
    model(batch)
    assert all(torch.equal(x, before[k]) for k, x in model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_image_embeds": 10}, "`num_image_embeds` must be 1 to 9; got 10"),
        ({"num_image_embeds": 0}, "`num_image_embeds` must be 1 to 9; got 0"),
        ({"tap": "pool"}, r"`tap` must be one of \('embed', 'proj'\); got 'pool'"),
        (
            {"bert": SMALL | {"vocab_size": 102}},
            r"vocabulary of 102 .* too small for .*\[101, 102\]",
        ),
        (
            {"num_image_embeds": 9, "bert": SMALL | {"max_position_embeddings": 10}},
            "and 10 positions is too",
        ),
        ({"modalities": ("text", "audio")}, r"must be 'text' and 'image'; got \('text', 'audio'\)"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        MMBT.tiny(**options)


def test_from_a_batch_with_gaps_to_a_prediction_by_both_methods():
    available = torch.ones(24, 2, dtype=torch.bool)
    available[::4, 0] = available[1::4, 1] = False
    train = make_batch(24, seed=1, fields=True)
    test = make_batch(24, seed=2, available=available, fields=True)
    model = sp.SURE(make_mmbt(num_image_embeds=2), reconstructor_options={"width": 8})
    weights = positive_weights(train.target)
    objective = (sp.CorrelationELBO(0.25), lambda: PositiveWeights(weights))
    sp.fit(model, train, train, objective, epochs=1, seed=0, progress_bar=False)
    prediction = model.predict(test, propagate="both", num_samples=50)
    assert prediction.total.isfinite().all()
    assert (prediction.variance["text"][available[:, 0]] == 0).all()


def test_wrapping_changes_no_output(tap):
    backbone, batch = make_mmbt(tap=tap), make_batch(24)
    model = sp.SURE(backbone).initialize(batch)
    mean = model.predict(batch, propagate="none").mean
    torch.testing.assert_close(mean, backbone(batch), rtol=0, atol=1e-5)


def test_embeddings_are_tied_in_a_saved_model(tmp_path):
    train = make_batch(24)
    model = sp.SURE(make_mmbt(), reconstructor_options={"width": 8}).initialize(train)
    model.save(tmp_path)
    again = sp.SURE.load(tmp_path, backbone=MMBT(**model.backbone.config))
    assert is_tied(again.backbone)
    torch.testing.assert_close(again.backbone(train), model.backbone(train), rtol=0, atol=0)


def test_a_bert_without_a_pooler_is_no_start():
    model = make_mmbt()
    without = bert_model(model.config["bert"])
    without.pooler = None
    with pytest.raises(ValueError, match="`bert` has no pooler: load it with"):
        model.start_from(without, {})


def test_without_transformers_the_message_says_how_to_get_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ImportError, match=r"MMBT is built on transformers: pip install 'sure-pyro\[hf"
    ):
        MMBT.tiny()


def test_weights_follow_the_seed_and_the_global_generator_stays():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (MMBT.tiny(seed=s).clf.weight for s in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
