import pytest
import torch

from sure_pyro.propagation import assert_agree, cross_check, sampling, taylor

MEAN, VARIANCE = torch.zeros(20, 3), torch.full((20, 3), 0.25)


def steep(z):
    return torch.tanh(4 * z)


def test_affine_agrees():
    check = cross_check(
        taylor(lambda z: 2 * z, MEAN, VARIANCE), sampling(lambda z: 2 * z, MEAN, VARIANCE)
    )
    assert check.agrees
    assert check.verdicts == {"input": ["agree"] * 3, "total": ["agree"] * 3}
    assert "6 agree" in check.summary()


def test_steep_tanh_is_caught():
    both = taylor(steep, MEAN, VARIANCE), sampling(steep, MEAN, VARIANCE)
    check = cross_check(*both)
    assert check.verdicts["total"] == ["disagree"] * 3
    assert "Worst: source 'input'" in check.summary()
    with pytest.raises(AssertionError, match="disagree"):
        assert_agree(*both)


def test_few_draws_leave_it_open_and_say_how_many_would_tell():
    both = (
        taylor(torch.tanh, MEAN[:1], VARIANCE[:1] / 100),
        sampling(torch.tanh, MEAN[:1], VARIANCE[:1] / 100, num_samples=20),
    )
    check = cross_check(*both)
    assert check.verdicts["total"] == ["undecided"] * 3
    assert "draws would tell" in check.summary()


def test_table_has_a_line_per_source_and_output():
    fn = lambda z: (z["a"] * z["b"], torch.ones_like(z["a"]))  # noqa: E731
    mean, variance = {"a": MEAN + 1, "b": MEAN + 1}, {"a": VARIANCE, "b": VARIANCE}
    both = taylor(fn, mean, variance), sampling(fn, mean, variance)
    table = cross_check(*both).to_dataframe()
    assert table.index.tolist() == [(s, c) for s in ("a", "b", "head", "total") for c in range(3)]
    # Var[ab] = 1/4 + 1/4 + 1/16, of which Taylor misses the last: 0.5 + 1 against 0.5625 + 1
    assert table.loc["total", "ratio"].mean() == pytest.approx(1.5 / 1.5625, rel=0.02)
    assert set(table.loc["head", "verdict"]) == {"agree"}


def test_zero_variance_agrees():
    zero = torch.zeros_like(VARIANCE)
    check = cross_check(taylor(steep, MEAN, zero), sampling(steep, MEAN, zero))
    assert check.agrees


def test_bad_arguments():
    a, b = taylor(steep, MEAN, VARIANCE), sampling(steep, MEAN, VARIANCE, num_samples=10)
    with pytest.raises(ValueError, match="carries no standard errors"):
        cross_check(b, a)
    with pytest.raises(ValueError, match=r"got shapes \(20, 3\) and \(4, 3\)"):
        cross_check(a, b[:4])
    with pytest.raises(ValueError, match="0 < tolerance < limit"):
        cross_check(a, b, tolerance=0.5)
