from dataclasses import replace

import numpy as np

from sure_pyro.report import curves


def test_regression_has_no_confidence(study):
    numbers = replace(study.outcome.observed, task="regression")
    outcome = replace(study.outcome, observed=numbers)
    assert curves.confidence(outcome, study.masked) == {}


def test_the_pit_has_a_pattern_for_every_entry(study):
    values, pattern = curves.pit_by_pattern(study.outcome, study.masked)
    entries = {n: h.truth.size for n, h in study.outcome.hidden.items()}
    assert values.shape == pattern.shape == (sum(entries.values()),)
    assert ((values >= 0) & (values <= 1)).all()


def test_tables_have_a_line_for_each_size_of_the_mask(study):
    assert list(curves.correlations(study.slices).index) == ["1", "2"]
    shares = curves.shares(study.slices)
    assert list(shares.index) == ["0", "1", "2"]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares["head"].is_monotonic_decreasing  # the more is hidden, the less is the head's


def test_curves_are_by_size_of_the_mask_or_by_method(study):
    sizes, methods = ["1 hidden", "2 hidden"], ["point", "Taylor", "sampling"]
    assert list(curves.sparsifications(study.outcome, study.masked)) == sizes
    assert list(curves.variance_reliability(study.outcome, study.masked)) == sizes
    assert list(curves.risks(study.outcome, study.masked)) == methods
    assert list(curves.confidence(study.outcome, study.masked)) == methods
