from functools import partial

import pytest
import torch

from sure_pyro.propagation import Moments, sampling, taylor
from sure_pyro.propagation.more import unscented
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import merge, split_rows


def test_split():
    variance = {"a": torch.tensor([[0.0], [1.0], [0.0]]), "b": torch.tensor([[0.0], [0.0], [2.0]])}
    inputs = prepare(lambda z: z["a"], dict.fromkeys("ab", torch.zeros(3, 1)), variance)
    uncertain, certain = split_rows(inputs)
    assert (uncertain.tolist(), certain.tolist()) == ([1, 2], [0])
    assert list(inputs.rows(torch.tensor([0, 1])).covariances) == ["a"]
    assert inputs.num_uncertain().tolist() == [0, 1, 1]


def test_merge_fills_with_zero_and_keeps_the_order():
    one = torch.ones(1, 2)
    blocks = [
        (torch.tensor([1]), Moments(one, {"head": 5 * one})),
        (
            torch.tensor([0, 2]),
            Moments(
                torch.tensor([[2.0, 2.0], [3.0, 3.0]]),
                {"b": torch.ones(2, 2), "head": torch.ones(2, 2)},
                mean_error=torch.ones(2, 2),
                errors={"b": torch.ones(2, 2), "total": torch.ones(2, 2)},
                explained=torch.zeros(2, 2),
                num_samples=9,
                method="sampling",
            ),
        ),
    ]
    y = merge(blocks, ["a", "b"], 3)
    assert list(y.sources) == ["a", "b", "head"]
    assert y.mean[:, 0].tolist() == [2, 1, 3]
    assert y.sources["b"][:, 0].tolist() == [1, 0, 1]
    assert y.sources["head"][:, 0].tolist() == [1, 5, 1]
    assert (y.sources["a"] == 0).all()
    assert y.errors["total"][:, 0].tolist() == [1, 0, 1]
    assert y.explained[:, 0].tolist() == [0, 1, 0]
    assert (y.num_samples, y.method) == (9, "sampling")


@pytest.mark.parametrize("method", [taylor, partial(sampling, num_samples=10), unscented])
def test_without_anything_uncertain_every_method_gives_the_function_alone(method):
    z = {"a": torch.randn(4, 3)}
    y = method(lambda latents: latents["a"].tanh(), z, {})
    torch.testing.assert_close(y.mean, z["a"].tanh())
    assert (y.variance == 0).all()
