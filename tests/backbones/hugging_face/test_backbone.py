"""Models of transformers behind the seam: small, random, of four kinds."""

import json

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import Backbone, Tap, Tokens, check_backbone
from sure_pyro.backbones.named import build_named, named_config
from tests.backbones.hugging_face.models import MODELS, batch, clip, outputs_of, rows


def embeddings(out):
    return torch.cat([out.text_embeds, out.image_embeds], -1)


TEXT_SEQUENCE = {"text": "text_model.final_layer_norm"}
SEQUENCES = {**TEXT_SEQUENCE, "image": "vision_model.encoder"}
# What each says of complete rows, where its cut was found, and of which form the latents are.
CASES = {
    "clip": (embeddings, ["text_projection", "visual_projection"], [(10, 6), (10, 6)]),
    "bridgetower": (
        lambda out: out.logits,
        [
            "bridgetower.text_model.encoder.layer.1",
            "bridgetower.vision_model.visual.transformer.resblocks.1",
        ],
        [(10, 7, 64), (10, 5, 64)],
    ),
    "vilt": (
        lambda out: out.logits,
        ["vilt.embeddings.text_embeddings", "vilt.embeddings.patch_embeddings"],
        [(10, 7, 16), (10, 4, 16)],
    ),
    "blip": (
        lambda out: out.itm_score,
        ["text_encoder.embeddings", "vision_model.post_layernorm"],
        [(10, 7, 16), (10, 5, 16)],
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A model, its backbone, the rows as they are, and as a batch."""
    model, features = MODELS[request.param](), rows()[0]
    backbone = Backbone.from_transformers(model).freeze()
    return request.param, model, backbone, features, batch()


def values(z):
    return z.values if isinstance(z, Tokens) else z


def said(backbone, h):
    return backbone.readout(h.shape[1])(h)


def test_it_says_what_the_model_says(case):
    name, model, backbone, features, data = case
    expected, places, shapes = CASES[name]
    z = backbone.encode(data)
    assert [tap.module for tap in backbone.taps.values()] == places
    assert [tuple(values(latent).shape) for latent in z.values()] == shapes
    h = backbone.fuse(z)
    out = expected(outputs_of(model, features))
    assert out.std(0).min() > 1e-3  # it is not the same for every row
    torch.testing.assert_close(said(backbone, h), out, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(backbone(data), out, rtol=1e-6, atol=1e-6)


def test_it_passes_the_check(case):
    _, _, backbone, _, data = case
    check_backbone(backbone, data)


def test_absent_modalities_and_what_is_stored_under_them_move_no_other_row(case):
    """The text of rows 2 and 5 and the image of row 3 are not there."""
    _, _, backbone, features, data = case
    available = torch.ones(10, 2, dtype=torch.bool)
    available[[2, 5], 0] = available[3, 1] = False
    model, found = sp.SURE(backbone).initialize(data), []
    for junk in (0.0, 1e30):
        text = {k: x.clone() for k, x in features["text"].items()}
        text["input_ids"][[2, 5]] = 33 if junk else 0
        text["attention_mask"][[2, 5]] = 0
        image = features["image"].clone()
        image[3] = torch.nan if junk else 0.0
        gappy = sp.Batch({"text": text, "image": image}, available, target=data.target)
        found.append(model.space.encode(gappy))
    whole = model.space.encode(data)
    for name, i in (("text", 0), ("image", 1)):
        here = available[:, i]
        for latents in found:
            assert torch.equal(latents.values[name][here], whole.values[name][here])
        assert torch.equal(found[0].values[name], found[1].values[name])
    kept = torch.tensor([0, 1, 4, 6, 7, 8, 9])
    fused, full = (model.space.fuse(x.values, x.padding) for x in (found[1], whole))
    assert torch.equal(fused[kept], full[kept])


def test_it_is_built_again_from_json_and_says_the_same(case):
    _, _, backbone, _, data = case
    h = backbone.fuse(backbone.encode(data))
    name, config = named_config(backbone)
    before = torch.get_rng_state()
    again = build_named(name, json.loads(json.dumps(config)))
    assert torch.equal(before, torch.get_rng_state())
    again.load_state_dict(backbone.state_dict())
    assert torch.equal(again.fuse(again.freeze().encode(data)), h)
    assert again.config == config


def test_it_draws_no_random_number_and_leaves_the_model_alone(case):
    _, model, _, _, data = case
    model.train()
    before = torch.get_rng_state()
    backbone = Backbone.from_transformers(model)
    backbone.fuse(backbone.encode(data))
    assert torch.equal(before, torch.get_rng_state())
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())
    model.eval()


def test_taylor_and_sampling_meet_where_the_latents_vary_little(case):
    """Of 4,000 draws a variance is known to 1 / sqrt(2000); 5 of these, and the curvature."""
    _, _, backbone, _, data = case
    z = backbone.encode(data[:1])
    mean = values(z["text"])

    def fn(x):
        text = Tokens(x, z["text"].exists.expand(len(x), -1)) if x.ndim == 3 else x
        others = values(z["image"]).expand(len(x), *values(z["image"]).shape[1:])
        return backbone.fuse({"text": text, "image": others})[:, :2]

    draws = 4000
    g = torch.Generator().manual_seed(0)
    scale = 1e-3 * mean.abs().mean()
    varied = mean + scale * torch.randn(draws, *mean.shape[1:], generator=g)
    linear = mean.clone().requires_grad_()
    jacobian = [torch.autograd.grad(y, linear, retain_graph=True)[0] for y in fn(linear)[0]]
    expected = torch.stack([(J * scale).square().sum() for J in jacobian])
    with torch.no_grad():
        found = torch.cat([fn(part) for part in varied.split(500)]).double().var(0).float()
    torch.testing.assert_close(found, expected, rtol=5 * (2 / draws) ** 0.5 + 0.02, atol=0)


# -- what may be said of the cut and of the output ------------------------------------------------


@pytest.mark.parametrize(
    ("latents", "shapes"),
    [
        (SEQUENCES, [(10, 7, 16), (10, 5, 16)]),
        ({"image": "vision_model.post_layernorm", **TEXT_SEQUENCE}, [(10, 16), (10, 7, 16)]),
        ({"text": "text_model.embeddings"}, [(10, 7, 16), (10, 6)]),
    ],
)  # fmt: skip
def test_a_dual_encoder_may_be_cut_at_its_sequences(latents, shapes):
    """A text is pooled where it ends, wherever that is in the row that stands in."""
    features, data = rows()[0], batch()
    data = data._with(features={name: data[name] for name in latents} | data.features)
    backbone = Backbone.from_transformers(clip(), latents)
    z = backbone.encode(data)
    assert [tuple(values(latent).shape) for latent in z.values()] == shapes
    out = embeddings(outputs_of(clip(), features))
    torch.testing.assert_close(backbone.fuse(z), out, rtol=1e-6, atol=1e-6)
    check_backbone(backbone, data)


def test_output_by_field_fields_and_function():
    data, out = batch(), outputs_of(clip(), rows()[0])
    similarity = (out.text_embeds * out.image_embeds).sum(-1, keepdim=True)
    cases = [
        ("image_embeds", out.image_embeds),
        (["image_embeds", "text_embeds"], torch.cat([out.image_embeds, out.text_embeds], -1)),
        (("text_model_output", "pooler_output"), out.text_model_output.pooler_output),
        (lambda out: (out.text_embeds * out.image_embeds).sum(-1), similarity),
    ]
    for output, expected in cases:
        backbone = Backbone.from_transformers(
            clip(), {"text": "text_projection", "image": "visual_projection"}, output=output
        )
        fused = backbone.fuse(backbone.encode(data))
        torch.testing.assert_close(fused, expected, rtol=1e-6, atol=1e-6)
        if callable(output):
            assert backbone.config is None
        else:
            assert build_named("TransformersBackbone", backbone.config).config == backbone.config


def test_readout_and_representation_by_name():
    data, out = batch(), outputs_of(MODELS["vilt"](), rows()[0]).logits
    backbone = Backbone.from_transformers(MODELS["vilt"](), readout="classifier.3")
    h = backbone.fuse(backbone.encode(data))
    assert h.shape == (10, 32)
    torch.testing.assert_close(said(backbone, h), out, rtol=1e-6, atol=1e-6)
    backbone = Backbone.from_transformers(MODELS["vilt"](), representation="vilt.pooler")
    assert backbone.fuse(backbone.encode(data)).shape == (10, 16)
    assert backbone.readout(16) is None


def test_modalities_by_other_names_and_plain_tensors_with_their_padding():
    features, _ = rows()
    exists = features["text"]["attention_mask"].bool()
    data = sp.Batch(
        {"photo": features["image"], "caption": features["text"]["input_ids"]},
        padding={"caption": exists},
    )
    inputs = {"photo": "pixel_values", "caption": "input_ids"}
    backbone = Backbone.from_transformers(clip(), inputs=inputs)
    assert backbone.modalities == ("photo", "caption")
    out = embeddings(outputs_of(clip(), features))
    torch.testing.assert_close(backbone.fuse(backbone.encode(data)), out, rtol=1e-6, atol=1e-6)


def test_a_call_of_ones_own_may_name_its_modalities():
    data = batch()
    backbone = Backbone.from_transformers(
        clip(), call=lambda net, b: net(pixel_values=b["image"], **b["text"])
    )
    out = embeddings(outputs_of(clip(), rows()[0]))
    torch.testing.assert_close(backbone.fuse(backbone.encode(data)), out, rtol=1e-6, atol=1e-6)
    assert backbone.config is None


def test_half_precision_says_what_the_model_says_also_of_features_that_it_converts_itself():
    model, data = clip().to(torch.bfloat16), batch()
    single = embeddings(outputs_of(clip(), rows()[0]))
    for given in (data.to(torch.bfloat16), data):
        backbone = Backbone.from_transformers(model).freeze()
        fused = backbone.fuse(backbone.encode(given))
        assert fused.dtype == torch.bfloat16
        features = {"text": rows()[0]["text"], "image": given["image"]}
        assert torch.equal(fused, embeddings(outputs_of(model, features)))
        # bfloat16 has 8 bits: entries of vectors of length 1 are right to a few hundredths
        torch.testing.assert_close(fused.float(), single, rtol=0, atol=0.1)
        check_backbone(backbone, given)


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": {"text": "projektion"}}, "'projektion' is no submodule of CLIPModel"),
        ({"latents": {"sound": "text_projection"}}, r"names \['sound'\].*are \['text', 'image'\]"),
        ({"inputs": {"text": "words"}}, r"`inputs` names \['words'\].*'pixel_values'"),
        ({"output": "logits_per_image"}, r"\(2, 2\) for two rows and \(3, 3\).*'text_embeds'"),
        ({"output": "nothing"}, "'nothing' does not give one"),
        (
            {"latents": {"text": Tap("text_model.final_layer_norm", output=3)}},
            "`output=3` of submodule 'text_model.final_layer_norm' leads to no tensor",
        ),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Backbone.from_transformers(clip(), **options).encode(batch())


def test_what_is_no_model_of_transformers_is_refused():
    with pytest.raises(TypeError, match=r"must be a model of transformers, a folder, or a name"):
        Backbone.from_transformers(torch.nn.Linear(2, 2))


def test_latents_behind_the_fusion_are_refused():
    late = Backbone.from_transformers(MODELS["blip"](), {"text": "text_encoder.encoder.layer.0"})
    with pytest.raises(ValueError, match=r"latent of 'text' changes with the features of 'image'"):
        check_backbone(late.freeze(), batch())


@pytest.mark.slow
def test_a_cut_past_which_is_read_is_refused_and_another_named():
    bridged = Backbone.from_transformers(
        MODELS["bridgetower"](), {"text": "bridgetower.text_model.encoder.layer.2"}
    )
    with pytest.raises(ValueError, match=r"reads 'text' past the cut .*layer.2.*Name .*layer.1'"):
        check_backbone(bridged.freeze(), batch())


def test_a_batch_of_other_modalities_says_how_to_name_them():
    features, _ = rows()
    data = sp.Batch({"photo": features["image"], "text": features["text"]})
    with pytest.raises(ValueError, match=r"the batch has \['photo', 'text'\].*`inputs="):
        Backbone.from_transformers(clip()).encode(data)
