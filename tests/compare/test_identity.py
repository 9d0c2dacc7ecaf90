import functools

import numpy as np
import pytest
import torch

from sure_pyro.compare.identity import digest, identity
from sure_pyro.data import from_arrays


def plain(x, share=0.5):
    return x * share


def other(x, share=0.5):
    return x * share + 0


def closing_over(number):
    def inner(x):
        return x + number

    return inner


def batch(value=1.0, target=0):
    x = np.arange(8.0).reshape(4, 2)
    y = np.array([0, 1, 0, 1])
    y[0] = target
    return from_arrays({"a": x * value, "b": x}, y)


def same(a, b):
    return digest(identity(a)) == digest(identity(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"x": 1, "y": (1, 2)}, {"y": [1, 2], "x": 1}),
        (batch(), batch()),
        (torch.ones(2), torch.ones(2)),
        (plain, plain),
        (functools.partial(plain, share=1), functools.partial(plain, share=1)),
        (closing_over(1), closing_over(1)),
    ],
)
def test_equal_settings_are_the_same(a, b):
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"x": 1}, {"x": 2}),
        (1, "1"),
        (batch(), batch(2.0)),
        (batch(), batch(target=1)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (plain, other),
        (functools.partial(plain, share=1), functools.partial(plain, share=2)),
        (closing_over(1), closing_over(2)),
        (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)),
    ],
)
def test_whatever_differs_is_another(a, b):
    assert not same(a, b)
