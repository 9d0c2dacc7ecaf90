from dataclasses import replace

import numpy as np
import pytest

from sure_pyro.data import from_arrays, load
from sure_pyro.data.masked_rows import draw_masks
from sure_pyro.models import LocScale, Prediction
from sure_pyro.report import examples
from sure_pyro.report.decode import fit_decoders
from sure_pyro.report.study import Settings, fit_models, load_parts


@pytest.fixture(scope="module")
def digits():
    settings = Settings(epochs=1, objectives=("elbo",), quiet=True)
    parts = load_parts(settings)
    few = type(parts)(parts.name, parts.train[:200], parts.validation[:60], parts.test[:40])
    model = fit_models(few, settings)["elbo"].model
    masked = draw_masks(few.test, 0)
    decoders = fit_decoders(model, few.train, few.validation, seed=0)
    return masked, model.predict(masked.batch, "none"), decoders


@pytest.mark.parametrize("k", [1, 2, 3])
def test_digits_are_put_together_again(digits, k):
    masked, prediction, decoders = digits
    assert examples.is_digits(masked.complete.modalities, decoders)
    found = examples.digits(masked, prediction, decoders, k)
    truth, seen, filled, sd = found.truth, found.seen, found.mean, found.sd
    visible = ~np.isnan(seen)
    assert visible.sum() == len(np.unique(masked.complete.target)) * (4 - k) * 16
    np.testing.assert_array_equal(seen[visible], truth[visible])
    np.testing.assert_array_equal(filled[visible], truth[visible])
    assert (sd[visible] == 0).all()
    hidden = ~visible
    assert np.array_equal(found.framed, hidden)
    assert (sd[hidden] > 0).mean() > 0.8  # but for the pixels that are white in every digit
    assert not np.array_equal(filled[hidden], truth[hidden])


def test_the_truth_is_the_digit(digits):
    from sklearn.datasets import load_digits

    masked, prediction, decoders = digits
    first = examples.digits(masked, prediction, decoders, 1).truth[0]
    assert (load_digits().images == first).all((1, 2)).any()


def test_other_data_are_no_digits(digits):
    assert not examples.is_digits(("a", "b"), digits[2])
    assert examples.is_digits(load("digits").modalities, {})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A vector, a sequence and an image, and a model of them."""
    from sure_pyro.data import save_npz

    rng = np.random.default_rng(0)
    x = {"vector": (80,), "sequence": (12, 2), "image": (7, 6)}
    features = {name: rng.normal(size=(90, *shape)).astype("float32") for name, shape in x.items()}
    path = tmp_path_factory.mktemp("shapes") / "shapes.npz"
    save_npz(path, from_arrays(features, rng.normal(size=90).astype("float32")))
    settings = Settings(path, epochs=1, objectives=("elbo",), quiet=True)
    parts = load_parts(settings)
    model = fit_models(parts, settings)["elbo"].model
    masked = draw_masks(parts.test, 0)
    decoders = fit_decoders(model, parts.train, parts.validation, seed=0)
    return masked, model.predict(masked.batch, "none"), decoders


def test_images_are_shown_as_images_and_nothing_else_is(shapes):
    masked, prediction, decoders = shapes
    found = {n: examples.images(masked, prediction, d, n) for n, d in decoders.items()}
    assert found["vector"] is None
    assert found["sequence"] is None  # two channels are no picture
    truth, mean, sd = found["image"].truth, found["image"].mean, found["image"].sd
    assert truth.shape == mean.shape == sd.shape
    assert truth.shape[1:] == (7, 6)


def test_curves_for_vectors_and_sequences(shapes):
    masked, prediction, decoders = shapes
    curves = {name: decoders[name] for name in ("vector", "sequence")}
    found = examples.curves(masked, prediction, curves)
    lengths = {name: {part.shape for c in found[name] for part in c} for name in found}
    # the first entries of a long vector, one channel of a sequence
    assert lengths == {"vector": {(60,)}, "sequence": {(12,)}}


def test_nothing_hidden_alone_is_no_example(shapes):
    masked, prediction, decoders = shapes
    none_hidden = replace(masked, hidden=0 * masked.hidden)
    assert examples.curves(none_hidden, prediction, decoders) == {}
    assert examples.images(none_hidden, prediction, decoders["image"], "image") is None


def test_what_is_shown_is_the_decoded_reconstruction(shapes):
    masked, prediction, decoders = shapes
    far = {n: LocScale(r.loc + 5, r.scale) for n, r in prediction.reconstruction.items()}
    moved = Prediction(**{**vars(prediction), "reconstruction": far})
    a, b = (examples.images(masked, p, decoders["image"], "image") for p in (prediction, moved))
    assert np.array_equal(a.truth, b.truth)
    assert not np.array_equal(a.mean, b.mean)
    assert np.array_equal(a.sd, b.sd)
