"""Attention spelled out: torch's own is the truth, and no other thread notices."""

import threading

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from sure_pyro.propagation import taylor
from sure_pyro.propagation.differentiation import differentiation, plain_attention

N, HEADS, D = 4, 2, 8


def attention(T, S, heads=HEADS):
    generator = torch.Generator().manual_seed(0)
    sizes = ((HEADS, T), (heads, S), (heads, S))
    return [
        torch.randn(N, *size, D, generator=generator, dtype=torch.float64).requires_grad_()
        for size in sizes
    ]


def padding(T, S):
    """Rows that lack some keys; the first query of the first row has none at all."""
    mask = torch.rand(N, 1, T, S, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[..., 0] = True
    mask[0, 0, 0] = False
    return mask


@pytest.mark.parametrize(("T", "S"), [(3, 3), (5, 2), (1, 16)])
@pytest.mark.parametrize(
    "how",
    [
        lambda T, S: {},
        lambda T, S: {"scale": 0.3},
        lambda T, S: {"is_causal": True},
        lambda T, S: {"attn_mask": padding(T, S)},
        lambda T, S: {"attn_mask": torch.linspace(-2, 2, T * S).double().reshape(T, S)},
    ],
    ids=["plain", "scale", "causal", "padding", "bias"],
)
def test_plain_attention_is_that_of_torch(T, S, how):
    options, inputs = how(T, S), attention(T, S)
    ours, theirs = (
        plain_attention(*inputs, **options),
        scaled_dot_product_attention(*inputs, **options),
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    gradients = (torch.autograd.grad(y.square().sum(), inputs) for y in (ours, theirs))
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


def test_fewer_heads_of_keys_than_of_queries():
    inputs = attention(3, 3, heads=1)
    theirs = scaled_dot_product_attention(*inputs, enable_gqa=True)
    torch.testing.assert_close(plain_attention(*inputs, enable_gqa=True), theirs)


def test_dropout_is_of_the_weights_and_unbiased():
    q, k, v = (x.detach() for x in attention(3, 3))
    torch.manual_seed(0)
    mean = torch.stack([plain_attention(q, k, v, dropout_p=0.5) for _ in range(2000)]).mean(0)
    torch.testing.assert_close(mean, plain_attention(q, k, v), rtol=0, atol=0.15)


def test_attention_has_second_derivatives_where_they_are_asked_for():
    inputs = attention(2, 2)
    with pytest.raises(RuntimeError, match="not implemented|derivative"):
        torch.autograd.gradgradcheck(scaled_dot_product_attention, inputs)
    with differentiation(twice=True):
        assert torch.autograd.gradgradcheck(scaled_dot_product_attention, inputs)
    with differentiation(twice=False):
        y = scaled_dot_product_attention(*inputs)
    assert "Plain" not in y.grad_fn.name()
    assert "ScaledDotProduct" in y.grad_fn.name()


def test_another_thread_keeps_its_fused_attention():
    inputs, names = attention(2, 2), []

    def elsewhere():
        names.append(scaled_dot_product_attention(*inputs).grad_fn.name())

    with differentiation(twice=True):
        here = scaled_dot_product_attention(*inputs).grad_fn.name()
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        names.append(here)
    assert "ScaledDotProduct" in names[0]
    assert "ScaledDotProduct" not in names[1]


def test_a_variance_of_attention_can_be_part_of_a_loss():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(8, 1)).double().eval()
    mean, variance = torch.randn(2, 2, 4).double(), torch.rand(2, 2, 4).double().requires_grad_()

    def total(mean):
        return taylor(net, mean, variance, create_graph=True).variance

    assert torch.autograd.gradcheck(total, mean.requires_grad_())
