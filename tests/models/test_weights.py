import pytest
import torch

import sure_pyro as sp
from sure_pyro.guides import LaplaceGuide
from sure_pyro.models.methods import _other_seeds
from sure_pyro.models.weights import WEIGHT_POSTERIORS, with_weights
from tests.models.conftest import make_batch, make_model


def with_spread(model, scale=0.1, over=("head",)):
    """A model with a Normal posterior of a known width; no fitting."""
    guide = LaplaceGuide(over=over)
    for part in guide.over:
        loc = {f"{part}.{n}": p.detach() for n, p in getattr(model, part).named_parameters()}
        size = sum(w.numel() for w in loc.values())
        guide.learn(part, loc, scale=torch.full((size,), scale))
    model.weights = guide
    return model


def test_weights_are_replaced_for_the_time_being(model):
    before = model.head.mean.weight.clone()
    seen = with_weights(
        model, {"head.mean.weight": torch.zeros(3, 64)}, lambda m: m.head.mean.weight.sum().item()
    )
    assert seen == 0
    assert torch.equal(model.head.mean.weight, before)


def test_variance_of_the_weights_is_its_own_source_also_in_complete_rows(model, batch):
    without = model.predict(batch, "both", num_samples=60)
    prediction = with_spread(model).predict(batch, "both", num_samples=60, num_weights=10)
    for method in ("taylor", "sampling"):
        sources = prediction.moments[method].sources
        assert "weights" not in without.moments[method].sources
        assert (sources["weights"] > 0).any(-1).all()
    complete = batch.available.all(-1)
    assert complete.any()
    assert (prediction.variance["weights"][complete] > 0).all()
    assert "weights" not in prediction.moments["none"].sources


def test_linear_head_gives_the_closed_form(double):
    """Complete rows: y = W h + b, so Var_w = s2 (|h|^2 + 1) per output; 5 errors of 100 draws."""
    batch = make_batch(missing=False, task="regression", dtype=torch.float64)
    model = with_spread(make_model(batch))
    latents = model.encode(batch)
    h = model.space.fuse(latents.values)
    expected = 0.01 * (h.square().sum(-1, keepdim=True) + 1) * model.head.target_scale**2
    weights = model.predict(batch, num_weights=100).variance["weights"]
    assert ((weights - expected).abs() < 5 * expected * (2 / 99) ** 0.5).all()


@pytest.mark.parametrize("over", [("head",), ("reconstructor", "head")])
def test_the_methods_meet_on_the_weights(double, over):
    """Same draws of the weights on both methods: nearly the same variance between them."""
    batch = make_batch(dtype=torch.float64)
    prediction = with_spread(make_model(batch), 0.02, over).predict(
        batch, "both", num_samples=1500, num_weights=10
    )
    taylor, drawn = (prediction.moments[r].sources["weights"] for r in ("taylor", "sampling"))
    assert (taylor.sum() / drawn.sum()).item() == pytest.approx(1, abs=0.15)
    assert "weights" in set(prediction.cross_check().comparisons)


def test_reconstructor_weights_reach_only_rows_that_lack_something(model, batch):
    prediction = with_spread(model, over=("reconstructor",)).predict(batch)
    complete = batch.available.all(-1)
    assert (prediction.variance["weights"][~complete] > 0).any(-1).all()
    assert prediction.variance["weights"][complete].max() < 1e-10


def test_same_seed_same_bits_and_the_global_generator_is_left_alone(model, batch):
    with_spread(model, over=("reconstructor", "head"))
    draws = {"num_samples": 8, "num_weights": 3}
    before = torch.get_rng_state()
    first = model.predict(batch, "both", **draws, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    again = model.predict(batch, "both", **draws, seed=3)
    other = model.predict(batch, "both", **draws, seed=4)
    for method in ("taylor", "sampling"):
        assert torch.equal(again.moments[method].variance, first.moments[method].variance)
        assert not torch.equal(other.moments[method].variance, first.moments[method].variance)


def test_latents_and_weights_never_share_their_noise(model):
    """One seed, two streams: equal ones would draw the same normal numbers for both."""
    with_spread(model)
    seen = []
    model.weights.sample = lambda seed: seen.append(seed) or {}
    model.weights.draws(5, seed=3)
    assert len(set(seen) | set(_other_seeds(5, seed=3))) == 10


def test_without_draws_the_weights_are_known(model, batch):
    expected = model.predict(batch)
    prediction = with_spread(model).predict(batch, num_weights=0)
    assert torch.equal(prediction.total, expected.total)
    assert "weights" not in prediction.variance
    with pytest.raises(ValueError, match="`num_weights` must not be negative; got -1"):
        model.predict(batch, num_weights=-1)


def test_a_loaded_posterior_predicts_the_same_bit_for_bit(tmp_path, model, batch):
    with_spread(model, over=("reconstructor", "head"))
    draws = {"num_samples": 8, "num_weights": 3}
    expected = model.predict(batch, "both", **draws)
    model.save(tmp_path)
    loaded = sp.SURE.load(tmp_path)
    prediction = loaded.predict(batch, "both", **draws)
    for method, moments in expected.moments.items():
        assert torch.equal(prediction.moments[method].mean, moments.mean)
        assert torch.equal(prediction.moments[method].variance, moments.variance)
    assert "weights: LaplaceGuide(over=('reconstructor', 'head')" in repr(loaded)


def test_guides_are_known_by_name():
    assert {"laplace", "dropout", "map", "mean-field", "low-rank"} <= set(WEIGHT_POSTERIORS)
