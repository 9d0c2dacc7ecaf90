"""From rows to a calibrated prediction on models of transformers, and through files."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones import Backbone
from tests.backbones.hugging_face.models import MODELS, batch


@pytest.mark.parametrize("name", ["clip", "vilt"])
def test_from_rows_to_a_calibrated_prediction(name, tmp_path):
    data = batch(B=30)
    train, validation = data[:20], data[20:]
    model = sp.SURE(Backbone.from_transformers(MODELS[name]()), reconstructor_options={"width": 8})
    sp.fit(model, train, validation, epochs=2, seed=0, progress_bar=False)
    gappy = sp.missing.hide_exactly(validation, 1, seed=0)
    prediction = model.predict(gappy, propagate="both", num_samples=50)
    for i, modality in enumerate(gappy.modalities):
        brought = prediction.variance[modality]
        missing = ~gappy.available[:, i]
        assert (brought[missing] > 0).all()
        assert (brought[~missing] == 0).all()
    assert "Taylor against 50 draws" in repr(prediction.cross_check())
    calibrated = sp.recalibrate(model, validation)
    calibrated.save(tmp_path)
    again = type(calibrated).load(tmp_path)
    a, b = (m.predict(gappy, propagate="taylor") for m in (calibrated, again))
    assert torch.equal(a.mean, b.mean)
    assert all(torch.equal(a.variance[name], b.variance[name]) for name in a.variance)
