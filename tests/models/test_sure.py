import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive, Trace_ELBO

import sure_pyro as sp
from sure_pyro.guides import ReconstructorGuide
from sure_pyro.models import Output, hide
from sure_pyro.models.program import sample_latents
from tests.models.conftest import make_batch, make_model

TASKS = ["classification", "regression", "multilabel"]


def trace(model, batch, **options):
    latents = model.encode(batch)
    visible = hide(latents, torch.Generator().manual_seed(1))
    return poutine.trace(model).get_trace(latents, visible, **options), latents, visible


def test_sites_are_the_latents_and_the_target(model):
    nodes = trace(model, make_batch(missing=False))[0].nodes
    sites = [n for n, s in nodes.items() if s["type"] == "sample" and s["is_observed"]]
    assert sites == ["z_image", "z_audio", "z_text", "y"]


def test_a_missing_modality_is_an_unobserved_site(model, batch):
    nodes = trace(model, batch)[0].nodes
    assert "z_image_unobserved" in nodes
    assert "z_text_unobserved" in nodes
    assert "z_audio_unobserved" not in nodes  # nobody lacks audio
    assert not nodes["z_image_unobserved"]["is_observed"]


def test_hidden_latents_are_scored_visible_and_missing_ones_are_not(model, batch):
    t, latents, visible = trace(model, batch)
    t.compute_log_prob()
    r = model.reconstruct(latents, visible)["image"]
    log_prob = torch.distributions.Normal(*r).log_prob(latents.values["image"]).sum(-1)  # (B, 1)
    hidden = latents.available["image"] & ~visible["image"]
    torch.testing.assert_close(t.nodes["z_image_observed"]["log_prob"], log_prob * hidden)


def test_missing_latents_cancel_between_model_and_guide(model, batch):
    latents = model.encode(batch)
    visible = hide(latents)
    r = model.reconstruct(latents, visible)
    elbo = Trace_ELBO().differentiable_loss(
        sample_latents, ReconstructorGuide(), latents, visible, r
    )
    expected = 0.0
    for name, pair in r.items():
        hidden = latents.available[name] & ~visible[name]
        log_prob = torch.distributions.Normal(*pair).log_prob(latents.values[name]).sum(-1)
        expected = expected - (log_prob * hidden).sum()
    torch.testing.assert_close(elbo, expected)


@pytest.mark.parametrize("backbone", ["mlp", "transformer"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("reconstructor", ["masked", "pairwise"])
def test_every_combination_predicts_with_its_sources(reconstructor, task, backbone):
    batch = make_batch(task=task)
    model = make_model(batch, backbone, reconstructor=reconstructor)
    prediction = model.predict(batch, propagate="both", num_samples=50)
    assert prediction.mean.shape[0] == len(batch)
    assert set(prediction.variance) == {"image", "text", "head"}
    complete = batch.available.all(-1)
    for name in ("image", "text"):
        present = batch.available[:, batch.modalities.index(name)]
        assert (prediction.variance[name][present] == 0).all()
        assert (prediction.variance[name][~present] > 0).all()
    torch.testing.assert_close(prediction.total, sum(prediction.variance.values()))
    for method in ("taylor", "sampling"):
        torch.testing.assert_close(
            prediction.moments[method].mean[complete], prediction.moments["none"].mean[complete]
        )


def test_methods_agree_when_everything_behind_the_latents_is_linear():
    """Sampling within 5 standard errors of a Gaussian sample variance; seed fixed."""
    batch = make_batch(task="regression", dtype=torch.float64)

    class Linear(sp.Backbone):
        def __init__(self):
            super().__init__(batch.modalities)
            self.mix = torch.nn.Linear(16, 3, dtype=torch.float64)

        def encode(self, batch):
            return {name: x.flatten(1) for name, x in batch.features.items()}

        def fuse(self, latents):
            return self.mix(torch.cat(list(latents.values()), -1))

    model = sp.SURE(Linear()).initialize(batch).eval()
    prediction = model.predict(batch, propagate="both", num_samples=20_000, seed=1)
    taylor, sampling = prediction.moments["taylor"], prediction.moments["sampling"]
    r, sd_y = prediction.reconstruction["image"], model.head.target_scale
    J = sd_y * model.head.mean.weight @ model.space.backbone.mix.weight[:, :6]  # (1, 6)
    J = J * model.space.scale_0
    expected = (J.square() * r.scale.squeeze(1).square()).sum(-1, keepdim=True)
    expected = expected * ~batch.available[:, :1]
    torch.testing.assert_close(taylor.sources["image"], expected, rtol=1e-5, atol=0)
    standard_error = taylor.variance * (2 / 20_000) ** 0.5
    assert ((sampling.variance - taylor.variance).abs() <= 5 * standard_error).all()


@pytest.mark.slow
def test_the_generative_program_follows_the_sampling_method():
    """Pyro's `Predictive` and our vectorised method give the same predictive variance.

    Both estimate a variance from n draws of a mildly non-Gaussian output: within 8 % at n = 4000.
    """
    batch = make_batch(B=6, task="regression")
    model = make_model(make_batch(task="regression"))
    latents = model.encode(batch)
    latents = type(latents)(latents.values, latents.available, latents.padding)  # no target
    draws = Predictive(model, num_samples=4000, return_sites=["y"])
    with pyro.poutine.seed(rng_seed=0):
        y = draws(latents, latents.available, plug_in=False)["y"].reshape(4000, 6, 1)
    ours = model.predict(batch, "sampling", num_samples=4000)
    scale = model.head.target_scale.square()
    torch.testing.assert_close(y.var(0) * scale, ours.total, rtol=0.08, atol=0)


@pytest.mark.parametrize("stored", [float("nan"), float("inf"), 1e30])
def test_what_is_stored_under_missing_entries_changes_nothing(model, batch, stored):
    features = {
        name: torch.where(
            batch.available[:, i].reshape(-1, *[1] * (x.ndim - 1)), x, torch.full_like(x, stored)
        )
        for i, (name, x) in enumerate(batch.features.items())
    }
    garbage = sp.from_arrays(features, batch.target, available=batch.available)
    expected = model.predict(batch, "both", num_samples=20)
    prediction = model.predict(garbage, "both", num_samples=20)
    for method in ("none", "taylor", "sampling"):
        assert torch.equal(prediction.moments[method].mean, expected.moments[method].mean)
        assert torch.equal(prediction.moments[method].variance, expected.moments[method].variance)
        assert torch.equal(prediction.probabilities[method], expected.probabilities[method])


def test_prediction_is_the_same_for_the_same_seed_and_leaves_the_global_generator_alone(
    model, batch
):
    before = torch.get_rng_state()
    first = model.predict(batch, "sampling", num_samples=30, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.predict(batch, "sampling", num_samples=30, seed=4).total, first.total)
    assert not torch.equal(
        model.predict(batch, "sampling", num_samples=30, seed=5).total, first.total
    )


def test_two_models_share_no_parameter(batch):
    a, b = make_model(batch), make_model(batch)
    setting = pyro.settings.get("module_local_params")
    trace(a, batch)
    trace(b, batch)
    assert not {id(p) for p in a.parameters()} & {id(p) for p in b.parameters()}
    assert len(pyro.get_param_store()) == 0
    assert pyro.settings.get("module_local_params") == setting


def test_frozen_backbone_stays_in_evaluation_mode(model):
    model.train()
    assert not model.backbone.training
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert model.reconstructor.training


def test_a_padded_sequence_reaches_the_fusion_with_its_mask():
    from tests.models.test_latents import Padded

    text = torch.randn(30, 4, 3)
    text[:10, 2:] = 0
    available = torch.ones(30, 2, dtype=torch.bool)
    available[5:15, 1] = False
    batch = sp.from_arrays(
        {"image": torch.randn(30, 3), "text": text}, torch.randn(30), available=available
    )
    model = sp.SURE(Padded(), reconstructor_options={"width": 16}).initialize(batch).eval()
    prediction = model.predict(batch, "both", num_samples=200)
    assert set(prediction.variance) == {"text", "head"}
    assert (prediction.variance["text"][:5] == 0).all()
    assert (prediction.variance["text"][5:15] > 0).all()


def test_moderated_probabilities_come_from_the_total_variance(model, batch):
    prediction = model.predict(batch, "taylor")
    moments = prediction.moments["taylor"]
    expected = model.head.probabilities(Output(moments.mean, moments.variance))
    torch.testing.assert_close(prediction.probabilities["taylor"], expected)
    torch.testing.assert_close(expected.sum(-1), torch.ones(len(batch)))


def test_repr_says_what_is_frozen_and_what_is_trained(model):
    text = repr(model)
    assert "backbone: MLPBackbone" in text
    assert text.count("frozen") == 2
    assert text.count("trained") == 3  # "pretrained" and two parts


def test_errors_say_what_to_do(batch):
    net = sp.MLPBackbone.for_data(batch)
    with pytest.raises(ValueError, match=r"`reconstructor` must be one of .*; got 'gan'"):
        sp.SURE(net, reconstructor="gan")
    with pytest.raises(ValueError, match=r"no trainable parts yet: call `sp.fit"):
        sp.SURE(net).predict(batch)
    other = sp.from_arrays({"image": batch.features["image"]}, batch.target, available=None)
    with pytest.raises(
        ValueError, match=r"modalities \('image', 'audio', 'text'\).*has \('image',\)"
    ):
        sp.SURE(net).initialize(other)
    model = make_model(batch)
    narrow = sp.from_arrays({**batch.features, "image": batch.features["image"][:, :5]})
    with pytest.raises(ValueError, match=r"shape \(B, 6\) for 'image'; got \(40, 5\)"):
        model.predict(narrow)
    with pytest.raises(ValueError, match=r"`propagate` must be one of"):
        model.predict(batch, propagate="laplace")
    with pytest.raises(ValueError, match="A cross-check needs both methods"):
        model.predict(batch).cross_check()
