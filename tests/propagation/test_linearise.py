import pytest
import torch
from torch import nn

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
    x, directions = A.clone().requires_grad_(), torch.ones(2, 2, 2).double()
    with pytest.raises(RuntimeError):  # so the last lines take the other way
        torch.autograd.grad(Cube.apply(x), x, directions, is_grads_batched=True)
    J = jacobian(linearise(inputs, 2)[2])
    torch.testing.assert_close(J["input"], (3 * A.square()).diag_embed())


def test_gradients_flow_through_several_outputs_of_one_pass():
    mean = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]).double().requires_grad_()
    variance = torch.tensor([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]).double()
    fn = lambda z: torch.stack([z.prod(-1), z.square().sum(-1)], -1)  # noqa: E731
    result = taylor(fn, mean, variance, create_graph=True)
    result.variance.sum().backward()  # z2^2 + z1^2 + 4 z1^2 + 4 z2^2 in the first row
    torch.testing.assert_close(mean.grad[0], 10 * mean.detach()[0])
    assert not mean.grad[1:].any()


class Fusion(nn.Module):
    """Attention over one token per modality; a row's mask hides a token."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, latents):
        tokens = torch.stack([latents["a"], latents["b"]], 1)
        return self.head(self.layer(tokens, src_key_padding_mask=latents["absent"])[:, 0])


@pytest.mark.filterwarnings("error")  # torch takes attention for one direction after the other
def test_few_uncertain_rows_of_a_transformer():
    torch.manual_seed(0)
    net = Fusion().double().eval().requires_grad_(False)
    mean = {name: torch.randn(40, 8).double() for name in "ab"}
    variance = {name: torch.rand(40, 8).double() for name in "ab"}
    for s2 in variance.values():
        s2[3:] = 0
    absent = torch.zeros(40, 2, dtype=torch.bool)
    absent[1, 1] = True
    y = taylor(net, {**mean, "absent": absent}, variance)
    for row in range(3):
        cut = {name: z[row : row + 1] for name, z in {**mean, "absent": absent}.items()}
        for name in "ab":
            J = torch.autograd.functional.jacobian(
                lambda z, cut=cut, name=name: net({**cut, name: z})[0], cut[name]
            )[:, 0]
            expected = J.square() @ variance[name][row]
            torch.testing.assert_close(y.sources[name][row], expected)
    assert float(y.sources["b"][1].max()) == 0  # hidden
