import pytest
import torch

from sure_pyro.propagation import taylor
from sure_pyro.propagation.linearise import jacobian, linearise, outputs_together
from sure_pyro.propagation.prepare import prepare


class Cube(torch.autograd.Function):
    """Its backward pass asks for a number, so it can not be batched."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        assert grad.sum().item() is not None
        return grad * 3 * x**2


def fn(z):
    return torch.stack([z["a"].prod(-1), z["a"].sin().sum(-1), z["b"].square().sum(-1)], -1)


A = torch.tensor([[1.0, 2.0], [3.0, -1.0]]).double()
INPUTS = prepare(fn, {"a": A, "b": A}, {"a": A.square(), "b": A.square()})


@pytest.mark.parametrize("together", [1, 2, 3])
def test_gradients_do_not_depend_on_the_number_per_pass(together):
    y, noise, gradients = linearise(INPUTS, together)
    J = jacobian(gradients)
    torch.testing.assert_close(y, fn({"a": A, "b": A}))
    assert noise is None
    zero = torch.zeros_like(A)
    expected = torch.stack([A.flip(-1), A.cos(), zero], 1)
    torch.testing.assert_close(J["a"], expected)
    # the two latents are one tensor, and still have gradients of their own
    torch.testing.assert_close(J["b"], torch.stack([zero, zero, 2 * A], 1))


@pytest.mark.parametrize(
    ("outputs", "rows", "batch", "together"),
    [(10, 26, 256, 10), (37, 26, 256, 10), (10, 256, 256, 1), (1, 1, 256, 1), (3, 1, 2, 2)],
)
def test_a_pass_is_about_as_large_as_the_batch(outputs, rows, batch, together):
    assert outputs_together(outputs, rows, batch) == together
    assert together * rows <= 1.5 * batch


def test_few_rows_need_few_passes():
    _, _, gradients = linearise(INPUTS, 2)
    assert [len(J["a"]) for J in gradients] == [2, 1]


def test_a_step_that_can_not_be_batched_is_differentiated_one_by_one():
    inputs = prepare(lambda z: Cube.apply(z), A, A.square())
    with pytest.raises(RuntimeError):  # so the next line walks the other road
        torch.autograd.grad(
            Cube.apply(x := A.clone().requires_grad_()), x, torch.ones(2, 2, 2).double(),
            is_grads_batched=True,
        )  # fmt: skip
    J = jacobian(linearise(inputs, 2)[2])
    torch.testing.assert_close(J["input"], (3 * A.square()).diag_embed())


def test_gradients_flow_through_several_outputs_of_one_pass():
    mean = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]).double().requires_grad_()
    variance = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]).double()
    result = taylor(
        lambda z: torch.stack([z.prod(-1), z.square().sum(-1)], -1), mean, variance,
        create_graph=True,
    )  # fmt: skip
    result.variance.sum().backward()  # z2^2 + z1^2 + 4 z1^2 + 4 z2^2 in the first row
    torch.testing.assert_close(mean.grad[0], 10 * mean.detach()[0])
    assert not mean.grad[1:].any()
