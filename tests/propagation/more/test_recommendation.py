import pytest
import torch

from sure_pyro.propagation import LowRankCovariance
from sure_pyro.propagation.more import recommend

MEAN, VARIANCE = torch.zeros(30, 4), torch.full((30, 4), 0.5)


def test_affine_needs_no_more_than_taylor():
    advice = recommend(lambda z: z @ torch.ones(4, 2), MEAN, VARIANCE)
    assert advice.method.name in ("taylor", "unscented")  # both exact; the cheaper one
    assert advice.method.error < 1e-3
    assert "Use " in repr(advice)
    assert set(advice.to_dataframe().index) == {"taylor", "sampling", "controlled", "unscented"}


def test_a_flat_function_has_to_be_drawn():
    advice = recommend(
        lambda z: torch.cos(2 * z["a"]), {"a": MEAN}, {"a": VARIANCE}, tolerance=0.02
    )
    candidates = {c.name: c for c in advice.candidates}
    assert candidates["taylor"].error == pytest.approx(1, abs=0.01)  # all of the variance is missed
    assert advice.method.name in ("sampling", "controlled")
    assert advice.method.error <= 0.02
    # 1 / 0.02^2 = 2500 times the kurtosis less one, 0.5 for a saturated cosine
    assert "num_samples=" in advice.method.call


def test_other_covariances_and_partial_rows():
    spread = LowRankCovariance(torch.ones(30, 4, 1), VARIANCE)
    assert recommend(torch.tanh, MEAN, spread, pilot_rows=3).method.error <= 0.05
    variance = VARIANCE.clone()
    variance[1:] = 0
    assert recommend(torch.tanh, MEAN, variance).method.error <= 0.05


def test_a_function_that_ignores_its_latents_needs_no_draws():
    advice = recommend(lambda z: 0 * z[:, :1] + 1, MEAN, VARIANCE)
    assert advice.method.error <= 0.05


def test_sigma_points_of_many_entries_are_not_even_tried():
    rows = []

    def fn(z):
        rows.append(len(z))
        return z.sum(-1, keepdim=True)

    wide = torch.zeros(20, 5000)
    advice = recommend(fn, wide, wide + 1, pilot_rows=2)
    assert advice.method.name == "taylor"
    assert advice.to_dataframe().loc["unscented"].isna()["error"]
    assert sum(rows) < 2 * 5000  # what the points of a single row would take


def test_errors():
    with pytest.raises(ValueError, match="zero everywhere"):
        recommend(torch.tanh, MEAN, 0 * VARIANCE)
    with pytest.raises(ValueError, match="`tolerance` must be positive"):
        recommend(torch.tanh, MEAN, VARIANCE, tolerance=0.0)
