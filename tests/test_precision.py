"""Half precision is widened; weights are not remembered under autocast while they move."""

import pytest
import torch

from sure_pyro.precision import at_least_single, moving_weights


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_only_half_precision_is_widened(dtype):
    x = torch.ones(2, dtype=dtype)
    found = at_least_single(x)
    assert found.dtype == (dtype if dtype in (torch.float32, torch.float64) else torch.float32)
    assert (found is x) == (found.dtype == dtype)


def test_a_weight_that_moved_is_cast_anew_and_keeps_its_gradient():
    layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16), moving_weights():
        for value in (1.0, 2.0):
            with torch.no_grad():
                layer.weight.fill_(value)
                assert layer(x).item() == value
            layer(x).sum().backward()
    assert layer.weight.grad.item() == 2.0


def test_the_cache_is_left_as_it_was_and_empty():
    layer, x = torch.nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
        with moving_weights():
            assert not torch.is_autocast_cache_enabled()
            with torch.no_grad():
                layer.weight.fill_(5.0)
        assert torch.is_autocast_cache_enabled()
        assert layer(x).item() == 5.0
