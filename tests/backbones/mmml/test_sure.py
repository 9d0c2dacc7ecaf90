"""SURE on MMML: fit both phases on rows with gaps, and predict in both ways."""

import pytest
import torch

import sure_pyro as sp
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
