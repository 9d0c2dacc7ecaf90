import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.data import from_arrays
from sure_pyro.identity import digest, identity, of_array, of_tensor


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
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (torch.ones(3, 2).T, torch.ones(2, 3)),  # however they lie in memory
        (np.array(["a", None]), np.array(["a", None])),
        (lambda x: x + 1, lambda x: x + 1),
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
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float16)),
        (torch.zeros(0, 2), torch.zeros(2, 0)),
        (np.array(["a", None]), np.array(["b", None])),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: [y for y in x if y > 1], lambda x: [y for y in x if y > 2]),
        (torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)),
    ],
)
def test_whatever_differs_is_another(a, b):
    assert not same(a, b)


@given(
    st.integers(0, 11), st.sampled_from([torch.float32, torch.bool, torch.int64, torch.bfloat16])
)
def test_one_entry_makes_another_digest(entry, dtype):
    x = torch.zeros(3, 4).to(dtype)
    y = x.clone()
    y.view(-1)[entry] = 1
    assert of_tensor(x) != of_tensor(y)
    assert of_tensor(x) == of_tensor(x.clone())


def test_a_tensor_and_its_array_are_the_same():
    x = torch.arange(6.0).reshape(2, 3)
    assert of_tensor(x) == of_array(x.numpy())


def test_tensors_of_every_kind_have_one():
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    kinds = [
        x,
        x.to(torch.complex64),
        x.bfloat16(),
        x.to("meta"),
        x.new_zeros(3, 2).to("meta"),
        torch.tensor(1.0),
    ]
    assert len({of_tensor(k) for k in kinds}) == len(kinds)
    assert of_tensor(x.to_sparse()) == of_tensor(x)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_a_quantised_tensor_has_the_digest_of_its_numbers():
    x = torch.quantize_per_tensor(torch.tensor([0.0, 1.0, 2.0]), 0.5, 0, torch.qint8)
    assert of_tensor(x) == of_tensor(torch.tensor([0.0, 1.0, 2.0]))
