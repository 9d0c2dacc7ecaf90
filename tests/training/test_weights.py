import copy

import pytest
import torch

import sure_pyro as sp
from sure_pyro.guides import LaplaceGuide, MeanFieldGuide, weight_guide
from sure_pyro.models import hide
from sure_pyro.objectives import FixedScale, preset
from sure_pyro.training.likelihoods import masked_batches, weight_program
from sure_pyro.training.steps import HeadStep, ReconstructionStep
from tests.training.test_fitting import fingerprint, fit, make


def fitted_once(task="classification", **options):
    """A model after one epoch of each phase, and its rows."""
    model, train, validation = make(task)
    fit(model, train, validation, epochs=1, **options)
    return model, train, validation


@pytest.fixture(scope="module")
def classes():
    with torch.random.fork_rng():
        return fitted_once()


@pytest.fixture(scope="module")
def numbers():
    with torch.random.fork_rng():
        return fitted_once("regression")


@pytest.fixture(scope="module")
def halves():
    with torch.random.fork_rng():
        return fitted_once(objective="faithful:elbo+pcc")


def anew(fitted):
    """A copy of a fitted model, and the same rows."""
    return copy.deepcopy(fitted[0]), *fitted[1:]


GUIDES = ["map", "mean-field", "low-rank", "laplace", "dropout", "ensemble", "swag"]


@pytest.mark.parametrize("over", [("head",), ("reconstructor",)])
@pytest.mark.parametrize("kind", GUIDES)
def test_every_guide_fits_over_every_part_without_a_warning(classes, kind, over):
    """Warnings are errors here. The point estimate stays as it was fitted."""
    model, train, validation = anew(classes)
    plain = classes[0]
    guide = weight_guide(kind, over=over)
    history = fit(model, train, validation, epochs=2, phases=(), guide=guide)
    assert fingerprint(model.reconstructor) == fingerprint(plain.reconstructor)
    assert fingerprint(model.head) == fingerprint(plain.head)
    trained = {f"{part}/{kind}" for part in over} & set(history.best)
    assert bool(trained) == (kind != "laplace" and (kind, over) != ("dropout", ("reconstructor",)))
    prediction = model.predict(validation, num_weights=3)
    assert prediction.variance["weights"].isfinite().all()
    assert not model.training
    assert set(model.weights.sample(0)) == {
        f"{part}.{n}" for part in over for n, _ in getattr(model, part).named_parameters()
    }


@pytest.mark.parametrize("kind", GUIDES)
def test_fitted_guide_is_saved_with_the_model(classes, kind, tmp_path):
    model, train, validation = anew(classes)
    fit(model, train, validation, epochs=2, phases=(), guide=kind)
    model.save(tmp_path)
    loaded = sp.SURE.load(tmp_path)
    for name, w in model.weights.sample(7).items():
        assert torch.equal(loaded.weights.sample(7)[name], w)


@pytest.mark.parametrize("objective", ["elbo", "sure", "student-t", "laplace+spearman", "crps"])
def test_laplace_takes_every_kind_of_score(numbers, objective):
    model, train, validation = anew(numbers)
    fit(model, train, validation, objective=objective, phases=(), guide="laplace")
    assert (model.predict(validation).variance["weights"] > 0).all()


@pytest.mark.parametrize("objective", ["elbo", "sure"])
@pytest.mark.parametrize("part", ["head", "reconstructor"])
def test_the_likelihood_of_a_part_is_that_of_its_phase(part, objective):
    """Equation 6 of the step, times N, is the log-likelihood that the guide sees."""
    model, train, validation = make("regression")
    model.initialize(train).eval()
    latents = model.encode(train)
    visible = hide(latents, torch.Generator().manual_seed(0))
    elbo, handler = preset(objective, weight=0.0)
    step = {"head": HeadStep, "reconstructor": ReconstructionStep}[part](model, elbo, handler)
    expected = step(latents, visible).item()
    program = weight_program(model, part, LaplaceGuide(), len(latents), handler)
    from pyro import poutine

    from sure_pyro.objectives.pair import scored_numbers

    trace = poutine.trace(program.observe).get_trace(program.fitted, latents, visible)
    N = scored_numbers(trace)
    assert (-trace.log_prob_sum() / N).item() == pytest.approx(expected, rel=1e-5)


def test_laplace_of_a_gaussian_head_is_the_weighted_least_squares_posterior(double):
    """Over the mean layer, with the total variance as the noise of each row: closed form."""
    model, train, validation = make("regression")
    from tests.models.conftest import make_batch

    train = make_batch(B=80, task="regression", dtype=torch.float64)
    model = sp.SURE(sp.MLPBackbone.for_data(train), reconstructor_options={"width": 16})
    model.initialize(train).eval()
    latents = model.encode(train)
    batch = (latents, hide(latents, torch.Generator().manual_seed(0)))
    guide = LaplaceGuide(prior_scale=1.0)
    program = weight_program(model, "head", guide, len(latents), preset("elbo")[1])
    guide.fit_curvature(program, [batch])
    from sure_pyro.training.steps import head_output

    s2 = head_output(model, *batch).variance  # (B, 1)
    r = model.reconstruct(*batch)
    zt = model.fill(*batch, {n: x.loc for n, x in r.items()})
    h = model.space.fuse(zt)
    X = torch.cat([h, torch.ones(80, 1)], -1)
    precision = X.T @ (X / s2) + torch.eye(X.shape[1])
    ours = guide.covariance("head")
    D = X.shape[1]  # the mean layer comes first; a Normal's mean and variance do not interact
    torch.testing.assert_close(ours[:D, :D], precision.inverse(), rtol=1e-6, atol=1e-9)


def test_same_seed_same_guide(classes):
    draws = []
    for _ in range(2):
        model, train, validation = anew(classes)
        before = torch.get_rng_state()
        fit(model, train, validation, epochs=1, phases=(), guide="mean-field")
        assert torch.equal(torch.get_rng_state(), before)
        draws.append(model.weights.sample(0)["head.mean.weight"])
    assert torch.equal(*draws)


def test_a_new_fit_drops_the_posterior_of_the_old_weights(classes):
    model, train, validation = anew(classes)
    fit(model, train, validation, phases=(), guide="laplace")
    assert model.weights is not None
    fit(model, train, validation, epochs=1, phases=("head",))
    assert model.weights is None


def test_validation_draws_the_same_weights_in_every_epoch(classes):
    """With a learning rate of zero nothing changes, so neither may the selection loss."""
    model, train, validation = anew(classes)
    guide = MeanFieldGuide()
    history = fit(model, train, validation, epochs=3, lr=0.0, phases=(), guide=guide)
    selection = history.phase("head/mean-field")["validation/selection"]
    assert selection.nunique() == 1


def test_masked_batches_cover_all_rows_and_keep_their_seed():
    model, train, _ = make()
    latents = model.initialize(train).encode(train)
    batches = masked_batches(latents, 32, repeats=2, seed=1)
    assert [len(b) for b, _ in batches] == [32, 32, 16] * 2
    again = masked_batches(latents, 32, repeats=2, seed=1)
    for (_, a), (_, b) in zip(batches, again, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
    first, second = batches[0][1], batches[3][1]
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_a_guide_alone_is_that_of_a_whole_fit(classes):
    """``phases=()`` fits the guide over the weights as they are, to the same bits."""
    whole, train, validation = make()
    fit(whole, train, validation, epochs=1, guide="mean-field")
    parts, *_ = anew(classes)
    fit(parts, train, validation, epochs=1, phases=(), guide="mean-field")
    for name, w in whole.weights.sample(0).items():
        assert torch.equal(parts.weights.sample(0)[name], w)


def test_an_interrupted_guide_keeps_its_best_weights(monkeypatch):
    from sure_pyro.training.weights import GuideStep

    def interrupt(self):
        raise KeyboardInterrupt

    model, train, validation = make()
    with monkeypatch.context() as patch:
        patch.setattr(GuideStep, "epoch_finished", interrupt)
        history = fit(model, train, validation, epochs=1, guide="mean-field")
    assert history.interrupted
    assert model.predict(validation, num_weights=2).variance["weights"].isfinite().all()


@pytest.mark.parametrize("kind", ["laplace", "ensemble", "swag"])
def test_guides_over_a_reconstructor_in_halves(halves, kind):
    model, train, validation = anew(halves)
    guide = weight_guide(kind, over=("reconstructor", "head"))
    options = {"objective": "faithful:elbo+pcc", "phases": (), "guide": guide}
    fit(model, train, validation, epochs=2, **options)
    assert (model.predict(train, num_weights=3).variance["weights"] > 0).all()


def test_the_amortised_joint_phase_trains_without_a_warning():
    model, train, validation = make()
    history = fit(model, train, validation, epochs=3, phases=("joint/amortised",))
    selection = history.phase("joint/amortised")["validation/selection"]
    assert selection.min() < selection.iloc[0]


def test_unknown_guides_are_refused():
    model, train, validation = make()
    with pytest.raises(ValueError, match=r"`guide` must be one of .*'laplace'.*; got 'vi'"):
        fit(model, train, validation, guide="vi")
    assert FixedScale is preset("sure")[1]
