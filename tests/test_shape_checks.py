"""The run-time checks of the session are on, and checked is what is promised."""

import pytest
import torch

from sure_pyro.equations import total_variance
from tests.shape_checks import EVERY, FIRST, now_and_then


def test_the_first_calls_and_some_later_ones_are_checked():
    seen = []
    call = now_and_then(lambda: seen.append("checked"), lambda: seen.append("plain"))
    for _ in range(FIRST + EVERY):
        call()
    assert seen[:FIRST] == ["checked"] * FIRST
    assert seen[FIRST:].count("checked") == 1


def test_a_wrong_shape_is_refused():
    from sure_pyro.propagation import Moments

    with pytest.raises(TypeError, match="Type-check error"):
        Moments(torch.zeros(3, 2), {"a": torch.zeros(3, 2)}, mean_error=torch.zeros(2, 2))
    assert total_variance([torch.ones(1, 1)]).item() == 1.0
