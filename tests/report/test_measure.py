from dataclasses import replace

import numpy as np
import pytest

from sure_pyro.evaluation.slices import RANDOM
from sure_pyro.report.measure import measure, observe, paired


@pytest.fixture(scope="module")
def outcome(model, masked):
    return observe(model, masked, num_samples=50, seed=0)


@pytest.fixture(scope="module")
def slices(outcome, masked):
    return measure(outcome, masked, seed=0)


def test_without_hiding_all_fillings_are_the_pretrained_model(slices):
    t = slices["0"].task
    assert t.full == t.zero == t.mean == t.swapped
    assert slices["0"].uncertainty is None
    assert slices["0"].propagation.shares["head"] == pytest.approx(1)
    assert slices["0"].propagation.ratio == 1


def test_random_is_the_average_of_the_sizes(slices):
    sizes = [slices["1"], slices["2"]]
    assert slices[RANDOM].rows == sum(s.rows for s in sizes)
    assert slices[RANDOM].task.sure == pytest.approx(np.mean([s.task.sure for s in sizes]))
    nll = [s.propagation.nll["taylor"] for s in sizes]
    assert slices[RANDOM].propagation.nll["taylor"] == pytest.approx(np.mean(nll))


def test_gains_are_differences_of_scores(slices):
    for s in slices.values():
        t, p = s.task, s.propagation
        assert t.gain_zero.estimate == pytest.approx(t.sure - t.zero)
        assert t.gain_mean.estimate == pytest.approx(t.sure - t.mean)
        assert t.gain_swapped.estimate == pytest.approx(t.swapped - t.mean)
        assert t.loss.estimate == pytest.approx(t.full - t.zero)
        assert p.taylor.estimate == pytest.approx(p.nll["taylor"] - p.nll["none"])
        assert p.between.estimate == pytest.approx(p.nll["sampling"] - p.nll["taylor"])
        assert sum(p.shares.values()) == pytest.approx(1)
        assert sum(p.verdicts.values()) == 3


def test_won_back_is_a_share_of_what_is_lost(slices):
    t = slices["2"].task
    assert t.won_back == pytest.approx((t.sure - t.zero) / (t.full - t.zero))
    assert slices["0"].task.won_back is None


def test_answers_do_not_depend_on_what_is_stored_under_missing_entries(model, masked, outcome):
    """The masked batch holds zeros there; the truth is never looked at."""
    features = {
        name: x.where(masked.batch.available[:, i : i + 1], 1e6)
        for i, (name, x) in enumerate(masked.batch.features.items())
    }
    dirty = replace(masked, batch=masked.batch.replace(features=features))
    again = observe(model, dirty, num_samples=50, seed=0)
    for name, predicted in outcome.predicted.items():
        np.testing.assert_array_equal(predicted.mean, again.predicted[name].mean)


def test_paired_intervals_draw_units_whole():
    difference = np.repeat([0.0, 1.0], 50)
    by_row = paired(difference, np.arange(100), seed=0)
    by_group = paired(difference, np.repeat([0, 1], 50), seed=0)
    assert by_row.estimate == by_group.estimate == 0.5
    assert (by_group.lower, by_group.upper) == (0, 1)
    assert by_row.upper - by_row.lower < 0.2
