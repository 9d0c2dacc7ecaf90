import pytest
import torch

from sure_pyro.propagation.inputs import prepare
from sure_pyro.propagation.linearise import fitting_copies, jacobian, linearise


def fn(z):
    return torch.stack([z["a"].prod(-1), z["a"].sin().sum(-1), z["b"].square().sum(-1)], -1)


A = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).double()
INPUTS = prepare(fn, {"a": A, "b": A}, {"a": A.square(), "b": A.square()}, ())


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_gradients_do_not_depend_on_the_copies(copies):
    y, noise, gradients = linearise(INPUTS, copies)
    J = jacobian(gradients)
    torch.testing.assert_close(y, fn({"a": A, "b": A}))
    assert noise is None
    zero = torch.zeros_like(A)
    expected = torch.stack([A.flip(-1), A.cos(), zero], 1)
    torch.testing.assert_close(J["a"], expected)
    # the two latents are one tensor, and still have gradients of their own
    torch.testing.assert_close(J["b"], torch.stack([zero, zero, 2 * A], 1))


@pytest.mark.parametrize(
    ("outputs", "rows", "batch", "copies"),
    [(10, 26, 256, 5), (37, 26, 256, 8), (10, 256, 256, 1), (1, 1, 256, 1), (3, 1, 2, 2)],
)
def test_copies_fit_the_batch_and_waste_little(outputs, rows, batch, copies):
    assert fitting_copies(outputs, rows, batch) == copies
    assert copies * rows <= batch


def test_few_rows_need_few_passes():
    y, _, gradients = linearise(INPUTS, 2)
    assert [len(J["a"]) for J in gradients] == [2, 1]
