"""What a `Prediction` says, on moments that were written down by hand."""

import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.propagation import Moments
from tests.models.conftest import make_batch, make_model

MEAN = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 0.25]])
HEAD, IMAGE = torch.full((3, 2), 0.5), torch.tensor([[0.0, 0.0], [1.0, 3.0], [2.0, 0.5]])


def moments(method, shift=0.0):
    sources = {"head": HEAD} if method == "none" else {"image": IMAGE, "head": HEAD}
    return Moments(MEAN + shift, sources, method="sampling" if method == "sampling" else "taylor")


def prediction(methods=("none", "taylor", "sampling"), task="classification", **changes):
    """Three rows of two outputs; the second and the third lack the image."""
    shift = {"none": 0.0, "taylor": 0.0, "sampling": 0.125}
    found = {method: moments(method, shift[method]) for method in methods}
    probabilities = {method: (m.mean / 4).sigmoid() for method, m in found.items()}
    fields = {
        "moments": found,
        "probabilities": {} if task == "regression" else probabilities,
        "reconstruction": {},
        "available": torch.tensor([[True, True], [False, True], [False, True]]),
        "modalities": ("image", "text"),
        "outputs": ("cat", "dog"),
        "task": task,
        "mask_pattern": np.array(["image+text", "text", "text"]),
    }
    return sp.Prediction(**{**fields, **changes})


@pytest.mark.parametrize(
    ("used", "first"),
    [
        (("none", "sampling", "taylor"), "taylor"),
        (("none", "sampling"), "sampling"),
        (("none",), "none"),
    ],
)
def test_what_is_reported_is_by_the_first_method(used, first):
    p = prediction(used)
    assert p.methods[0] == first
    assert set(p.methods) == set(used)
    assert p.mean is p.moments[first].mean
    assert p.variance == dict(p.moments[first].sources)


def test_sources_add_up_to_the_total():
    p = prediction()
    assert torch.equal(p.total, IMAGE + HEAD)
    assert torch.equal(prediction(("none",)).total, HEAD)


def test_labels_by_task():
    p = prediction()
    assert p.label.tolist() == [0, 1, 1]
    assert prediction(task="multilabel").label.tolist() == [[1, 0], [1, 1], [0, 1]]
    assert prediction(task="regression").label is None


def test_a_table_has_a_line_per_row_and_output():
    frame = prediction().to_dataframe()
    assert list(frame["sample"]) == [0, 0, 1, 1, 2, 2]
    assert list(frame["output"]) == ["cat", "dog"] * 3
    assert list(frame["mask_pattern"][:3]) == ["image+text", "image+text", "text"]
    np.testing.assert_array_equal(frame["mean"], MEAN.reshape(-1))
    np.testing.assert_array_equal(frame["variance/image"], IMAGE.reshape(-1))
    np.testing.assert_array_equal(frame["variance/total"], (IMAGE + HEAD).reshape(-1))
    np.testing.assert_allclose(frame["sd"] ** 2, frame["variance/total"], rtol=1e-6)
    assert {f"probability/{m}" for m in ("none", "taylor", "sampling")} <= set(frame)
    assert not any(c.startswith("probab") for c in prediction(task="regression").to_dataframe())


def test_a_dataset_has_the_methods_side_by_side():
    found = prediction().to_dataset()
    assert dict(found.sizes) == {
        "method": 3,
        "sample": 3,
        "output": 2,
        "source": 2,
        "modality": 2,
    }
    assert list(found["method"].values) == ["taylor", "sampling", "none"]
    by_taylor = found.sel({"method": "taylor"})
    np.testing.assert_array_equal(by_taylor["variance"].sel(source="image"), IMAGE)
    assert (
        found.sel({"method": "none", "source": "image"})["variance"] == 0
    ).all()  # it has no such
    np.testing.assert_array_equal(found.sel({"method": "sampling"})["mean"], MEAN + 0.125)
    np.testing.assert_allclose(found["total"], found["variance"].sum("source"))
    assert found["probability"].dims == ("method", "sample", "output")
    assert found.sel(modality="image")["available"].values.tolist() == [True, False, False]
    assert found.attrs == {"task": "classification"}
    assert "probability" not in prediction(task="regression").to_dataset()


def test_the_summary_averages_over_the_rows_of_a_mask():
    found = prediction().summary()
    assert found["rows"].to_dict() == {"image+text": 1, "text": 2}
    assert found.loc["text", "image"] == pytest.approx((1 + 3 + 2 + 0.5) / 4)
    assert found.loc["image+text", "image"] == 0
    np.testing.assert_allclose(found["total"], found["image"] + found["head"])


def test_it_is_shown_as_text_and_as_a_page():
    text = repr(prediction())
    assert text.startswith("Prediction of 3 rows, 2 outputs (classification), methods taylor, samp")
    assert "image+text" in text
    assert "<table" in prediction()._repr_html_()


def test_half_precision_is_written_in_single_precision():
    half = {"taylor": moments("taylor").each(lambda x: x.to(torch.bfloat16))}
    p = prediction(("taylor",), moments=half, probabilities={})
    assert p.to_dataframe()["mean"].dtype == np.float32
    np.testing.assert_array_equal(p.to_dataset()["mean"][0], MEAN)


@pytest.mark.parametrize("used", [("none",), ("none", "taylor"), ("none", "sampling")])
def test_a_cross_check_needs_both_methods(used):
    with pytest.raises(ValueError, match=r"needs both methods; .* has \(.*propagate='both'"):
        prediction(used).cross_check()


# -- as the model makes it ------------------------------------------------------------------------


def test_outputs_bear_the_names_of_the_classes():
    batch = make_batch()
    named = batch.replace(class_names=("ant", "bee", "cow"))
    p = make_model(named).predict(named, "none")
    assert p.outputs == ("ant", "bee", "cow")
    assert make_model(make_batch(task="regression")).predict(batch, "none").outputs == ("y0",)
    assert p.modalities == batch.modalities
    assert torch.equal(p.available, batch.available)


def test_probabilities_of_the_sampling_method_are_those_of_the_draws():
    """E[softmax] is no softmax of the total variance, and sums to 1 over the classes."""
    batch = make_batch()
    model = make_model(batch)
    p = model.predict(batch, "both", num_samples=50)
    drawn, moderated = p.probabilities["sampling"], p.probabilities["taylor"]
    torch.testing.assert_close(drawn.sum(-1), torch.ones(len(batch)))
    incomplete = ~batch.available.all(-1)
    assert (drawn - moderated)[incomplete].abs().max() > 1e-4
    complete = p.probabilities["none"][~incomplete]
    torch.testing.assert_close(drawn[~incomplete], complete)  # nothing to draw


def test_the_encoders_and_the_reconstructor_run_once(monkeypatch):
    batch = make_batch()
    model = make_model(batch)
    calls = []
    for part, name in ((model.backbone, "encode"), (model.reconstructor, "forward")):
        original = getattr(part, name)

        def counted(*args, original=original, name=name):
            calls.append(name)
            return original(*args)

        monkeypatch.setattr(part, name, counted)
    model.predict(batch, "both", num_samples=5)
    assert calls == ["encode", "forward"]
