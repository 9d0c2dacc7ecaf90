import numpy as np
import pytest

from sure_pyro.evaluation.hidden import Hidden, hidden_latents
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.evaluation.slices import RANDOM, hidden_slices
from sure_pyro.report.reconstruction import (
    best_case,
    independent_errors,
    measure_reconstructability,
    measure_uncertainty,
)


@pytest.fixture(scope="module")
def hidden(model, masked):
    return hidden_latents(model, masked, model.predict(masked.batch, "none").reconstruction)


def measured(hidden, masked, rows):
    pairs = Pairs.of(hidden, masked.pattern, 0)
    return measure_uncertainty(pairs, independent_errors(hidden, masked.pattern, 0), rows)


def simulated(masked, hidden, scale, share=1.0):
    """Right variances of varied size, `scale` times too large; `share` of the errors is theirs."""
    rng, made = np.random.default_rng(0), {}
    for name, h in hidden.items():
        sigma = rng.uniform(0.3, 2, (len(h.where), 1)) * np.ones_like(h.truth)
        error = np.where(rng.random(sigma.shape) < share, sigma, 1) * rng.normal(size=sigma.shape)
        made[name] = Hidden(h.where, error, 0 * error, scale * sigma)
    return measured(made, masked, hidden_slices(masked)[RANDOM])


def test_right_variances_have_ratio_one_and_reach_what_is_attainable(masked, hidden):
    u = simulated(masked, hidden, 1.0)
    # About 180 rows of 4 entries: relative error of the ratio about sqrt(2 / 700) = 5 %.
    assert u.ratio == pytest.approx(1, abs=0.25)
    assert u.within == pytest.approx(u.attainable_independent, abs=0.15)
    assert u.within == pytest.approx(u.attainable, abs=0.15)


def test_the_ratio_sees_size_and_the_correlation_does_not(masked, hidden):
    a, b = simulated(masked, hidden, 1.0), simulated(masked, hidden, 3.0)
    assert b.ratio == pytest.approx(9 * a.ratio)
    assert b.within == pytest.approx(a.within)


def test_variances_that_say_nothing_do_not_correlate(masked, hidden):
    assert abs(simulated(masked, hidden, 1.0, share=0.0).within) < 0.25


def test_nothing_hidden_is_nothing_measured(masked, hidden):
    assert measured(hidden, masked, hidden_slices(masked)["0"]) is None


def test_rows_and_cells_are_counted(masked, hidden):
    u = measured(hidden, masked, hidden_slices(masked)[RANDOM])
    assert u.rows + u.dropped == sum(len(h.where) for h in hidden.values())
    assert u.cells <= 9  # three masks of one hidden, three of two with two targets each


def test_a_cell_too_small_is_left_out(masked, hidden):
    few = np.zeros(len(masked.batch), dtype=bool)
    few[[h.where[0] for h in hidden.values()]] = True
    u = measured(hidden, masked, few)
    assert (u.within, u.cells) == (0, 0)
    assert u.dropped == 3


def test_perfect_and_mean_reconstructions(masked, hidden):
    perfect = {n: Hidden(h.where, h.truth, h.truth, h.sigma) for n, h in hidden.items()}
    mean = {n: Hidden(h.where, h.truth, 0 * h.truth, h.sigma) for n, h in hidden.items()}
    assert {r.verdict for r in measure_reconstructability(perfect, masked, 0).values()} == {"most"}
    for r in measure_reconstructability(mean, masked, 0).values():
        assert r.r2.estimate == 0
        assert r.verdict == "nothing"


def test_the_best_case_is_at_least_as_good_as_random_masks(model, masked, hidden):
    found = best_case(model, masked)
    random = measure_reconstructability(hidden, masked, 0)
    assert set(found) == set(random)
    assert all(found[name] > random[name].r2.lower for name in found)
