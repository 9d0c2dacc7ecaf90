import math

import pytest
import torch

from sure_pyro.propagation.verdict import Margins, ratio_and_error


def verdict(ratio, error, **margins):
    margins = Margins(**margins)
    ratio, error = torch.tensor([ratio]), torch.tensor([error])
    return bool(margins.beyond(ratio, error)), bool(margins.within(ratio, error))


def test_sharp_ratios_are_told_apart():
    assert verdict(1.04, 1e-3) == (False, True)
    assert verdict(1.15, 1e-3) == (True, True)
    assert verdict(1.30, 1e-3) == (True, False)
    assert verdict(0.70, 1e-3) == (True, False)
    assert verdict(0.0, 1e-3) == (True, False)
    assert verdict(1.0, 1.0) == (False, False)


@pytest.mark.parametrize(
    ("true_ratio", "test"), [(1.05, "beyond"), (1.25, "within"), (0.75, "within")]
)
@pytest.mark.parametrize("error", [0.01, 0.05, 0.3])
def test_both_errors_keep_their_level_whatever_the_noise(true_ratio, test, error):
    # At the margin itself each test may speak up in 5 % of repetitions; 4.5 sd of 20 000.
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, generator=generator)
    ratio = true_ratio * torch.exp(error * noise)
    rate = float(getattr(Margins(), test)(ratio, torch.full_like(ratio, error)).float().mean())
    assert rate < 0.05 + 4.5 * math.sqrt(0.05 * 0.95 / 20_000)


def test_needed_draws_pass_both_tests():
    margins = Margins()
    n = margins.needed(num_samples=100, error=0.2)
    error = 0.2 * math.sqrt(100 / n)
    reach = math.log(1.05) + margins.quantile() * error
    assert reach == pytest.approx(math.log(1.25) - margins.quantile() * error, rel=1e-2)


def test_zero_over_zero_is_one():
    zero, one = torch.zeros(1), torch.ones(1)
    assert ratio_and_error(zero, zero, zero) == (one, zero)
    assert ratio_and_error(zero, one, one / 10)[0] == 0
    assert ratio_and_error(one, zero, zero)[0] == math.inf


def test_bad_margins():
    with pytest.raises(ValueError, match="0 < tolerance < limit < 1"):
        Margins(tolerance=0.3)
    with pytest.raises(ValueError, match="`confidence` must be in"):
        Margins(confidence=0.4)
