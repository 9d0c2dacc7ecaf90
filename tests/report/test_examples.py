from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from sure_pyro.data import from_arrays, load
from sure_pyro.data.masked_rows import draw_masks
from sure_pyro.models import LocScale, Prediction
from sure_pyro.report.decode import fit_decoders
from sure_pyro.report.examples import curves_figure, digits_figure, image_figure, is_digits
from sure_pyro.report.study import Settings, fit_models, load_parts


def strips(figure):
    return [ax.images[0].get_array().filled(np.nan) for ax in figure.axes if ax.images]


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
    assert is_digits(masked.complete.modalities, decoders)
    truth, seen, filled, sd = strips(digits_figure(masked, prediction, decoders, k))
    visible = ~np.isnan(seen)
    assert visible.sum() == len(np.unique(masked.complete.target)) * (4 - k) * 16
    np.testing.assert_array_equal(seen[visible], truth[visible])
    np.testing.assert_array_equal(filled[visible], truth[visible])
    assert (sd[visible] == 0).all()
    hidden = ~visible & ~np.isnan(truth)
    assert (sd[hidden] > 0).mean() > 0.8  # but for the pixels that are white in every digit
    assert not np.array_equal(filled[hidden], truth[hidden])


def test_the_truth_is_the_digit(digits):
    from sklearn.datasets import load_digits

    masked, prediction, decoders = digits
    first = strips(digits_figure(masked, prediction, decoders, 1))[0][:, :8]
    assert (load_digits().images == first).all((1, 2)).any()


def test_other_data_are_no_digits(digits):
    assert not is_digits(("a", "b"), digits[2])
    assert is_digits(load("digits").modalities, {})


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
    figures = {n: image_figure(masked, prediction, d, n) for n, d in decoders.items()}
    assert figures["vector"] is None
    assert figures["sequence"] is None  # two channels are no picture
    truth, mean, sd = strips(figures["image"])
    assert truth.shape == mean.shape == sd.shape
    assert truth.shape[0] == 7


def test_curves_for_vectors_and_sequences(shapes):
    masked, prediction, decoders = shapes
    curves = {name: decoders[name] for name in ("vector", "sequence")}
    figure = curves_figure(masked, prediction, curves)
    assert isinstance(figure, Figure)
    lengths = [len(ax.lines[0].get_xdata()) for ax in figure.axes if ax.lines]
    assert set(lengths) == {60, 12}  # the first entries of a long vector, one channel of a sequence


def test_nothing_hidden_alone_is_no_figure(shapes):
    masked, prediction, decoders = shapes
    none_hidden = replace(masked, hidden=0 * masked.hidden)
    assert curves_figure(none_hidden, prediction, decoders) is None
    assert image_figure(none_hidden, prediction, decoders["image"], "image") is None


def test_what_is_drawn_is_the_decoded_reconstruction(shapes):
    masked, prediction, decoders = shapes
    far = {n: LocScale(r.loc + 5, r.scale) for n, r in prediction.reconstruction.items()}
    moved = Prediction(**{**vars(prediction), "reconstruction": far})
    a, b = (image_figure(masked, p, decoders["image"], "image") for p in (prediction, moved))
    assert np.array_equal(strips(a)[0], strips(b)[0], equal_nan=True)
    assert not np.array_equal(strips(a)[1], strips(b)[1], equal_nan=True)
    assert np.array_equal(strips(a)[2], strips(b)[2], equal_nan=True)
