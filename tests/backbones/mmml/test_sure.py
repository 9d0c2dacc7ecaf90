"""SURE on MMML: fit both phases on rows with gaps, and predict in both ways."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.backbones.mmml import MMML
from tests.backbones.mmml.conftest import make, make_batch


@pytest.mark.parametrize(
    "variant",
    [
        "concatenation",
        "cross_modal_v3",
        pytest.param("cross_modal_context", marks=pytest.mark.slow),
    ],
)
def test_fit_and_predict_on_rows_with_gaps(variant):
    backbone = make(variant)
    batch = make_batch(backbone, B=16, target=torch.linspace(-3, 3, 16))
    gappy = sp.missing.mcar(batch, rate=0.3, seed=0)
    model = sp.SURE(backbone).initialize(gappy)
    said = model.predict(batch, propagate="none").mean  # nothing is missing: what MMML says
    torch.testing.assert_close(said, backbone(batch)["M"], rtol=0, atol=1e-4)
    sp.fit(model, gappy, gappy, epochs=1, seed=0, progress_bar=False)
    prediction = model.predict(gappy, propagate="both", num_samples=200)
    assert model.settings["head"] == "gaussian"
    assert prediction.mean.shape == (16, 1)
    assert prediction.mean.isfinite().all()
    missing = ~gappy.available[:, 1]
    assert (prediction.variance["audio"][missing] > 0).all()
    assert (prediction.variance["audio"][~missing] == 0).all()
    ratio = prediction.cross_check().to_dataframe()["ratio"]
    assert ratio.between(0.2, 5).all()  # 200 draws, and a fusion that is far from linear


def test_fields_with_a_mask_are_fitted_saved_and_loaded(tmp_path):
    backbone = make("cross_modal_v2")
    batch = make_batch(backbone, B=12)
    keys = {"text": "input_ids", "audio": "input_values"}
    fields = {
        name: {keys[name]: x, "attention_mask": batch.padding[name].long()}
        for name, x in batch.features.items()
    }
    rows = sp.Batch(fields, target=torch.linspace(-3, 3, 12))
    gappy = sp.missing.mcar(rows, rate=0.3, seed=0)
    model = sp.SURE(backbone)
    sp.fit(model, gappy, gappy, epochs=1, seed=0, progress_bar=False)
    model.save(tmp_path)
    again = sp.SURE.load(tmp_path, backbone=MMML(**backbone.config))
    before, after = (m.predict(gappy, propagate="taylor") for m in (model, again))
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.total, after.total)
