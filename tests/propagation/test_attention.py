"""Gradients of attention for several directions at once: torch's own, one by one, are the truth."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from sure_pyro.propagation import attention as attention_module
from sure_pyro.propagation import taylor
from sure_pyro.propagation.attention import FEW, batched_attention

N, H, D, DIRECTIONS = 4, 2, 8, 5


def attention(T, S, dtype=torch.float64, **how):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    leaves = [normal(N, tokens, H, D).transpose(1, 2).requires_grad_() for tokens in (T, S, S)]
    y = scaled_dot_product_attention(*leaves, **how)
    return y, leaves, normal(DIRECTIONS, *y.shape)


def one_by_one(y, leaves, directions):
    J = [torch.autograd.grad(y, leaves, direction, retain_graph=True) for direction in directions]
    return [torch.stack(J_i) for J_i in zip(*J, strict=True)]


def together(y, leaves, directions):
    return [*torch.autograd.grad(y, leaves, directions, retain_graph=True, is_grads_batched=True)]


@pytest.fixture
def calls(monkeypatch):
    """Shapes (directions, ...) of the gradients that came to the formula."""
    seen = []

    def spy(G, *args, formula=attention_module._together):
        seen.append(G.shape)
        return formula(G, *args)

    monkeypatch.setattr(attention_module, "_together", spy)
    return seen


def padding(T, S):
    """Rows that lack some keys; the first query of the first row has none at all."""
    mask = torch.rand(N, 1, T, S, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[..., 0] = True
    mask[0, 0, 0] = False
    return mask


@pytest.mark.parametrize(("T", "S"), [(3, 3), (5, 2), (1, FEW)])
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
def test_all_directions_at_once_are_those_one_by_one(T, S, how, calls):
    case = attention(T, S, **how(T, S))
    with batched_attention:
        J = together(*case)
    assert calls == [(DIRECTIONS, N, H, T, D)]
    torch.testing.assert_close(J, one_by_one(*case), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("S", "dtype"), [(FEW + 1, torch.float64), (3, torch.bfloat16)])
def test_many_tokens_and_half_precision_are_left_to_the_kernel(S, dtype, calls):
    case = attention(3, S, dtype)
    with batched_attention:
        J = together(*case)
    assert not calls
    torch.testing.assert_close(J, one_by_one(*case), rtol=0, atol=0)


def test_finite_masks_and_islands_of_full_precision(calls):
    # Where every key carries -1e9 the kernel's own gradients are wrong in float32; plain attention
    # is the truth. Under autocast a part of the function may keep to full precision.
    mask = torch.zeros(N, 1, 3, 3)
    mask[0, 0, 0] = -1e9
    y, leaves, directions = attention(3, 3, torch.float32, attn_mask=mask)
    with torch.autocast("cpu", dtype=torch.bfloat16), batched_attention:
        J = together(y, leaves, directions)
    with sdpa_kernel(SDPBackend.MATH):
        y, leaves, directions = attention(3, 3, torch.float32, attn_mask=mask)
    torch.testing.assert_close(J, one_by_one(y, leaves, directions), rtol=1e-4, atol=1e-5)
    assert len(calls) == 1


@pytest.mark.filterwarnings("error")
def test_threads_share_the_rule(calls):
    case = attention(3, 3)
    expected = one_by_one(*case)

    def many_times(_):
        for _ in range(20):
            with batched_attention:
                J = together(*case)
            torch.testing.assert_close(J, expected, rtol=1e-10, atol=1e-10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(many_times, range(4)))
    assert len(calls) == 80


def test_the_rule_ends_with_the_block_even_after_an_error(calls):
    case = attention(3, 3)
    with batched_attention:
        together(*case)
    with pytest.raises(ZeroDivisionError), batched_attention:
        1 / 0  # noqa: B018
    together(*case)
    assert len(calls) == 1


class Fusion(nn.Module):
    """Attention over one token per modality; a row's mask hides a token."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(D, H, 2 * D, batch_first=True)
        self.head = nn.Linear(D, 4)

    def forward(self, latents):
        tokens = torch.stack([latents["a"], latents["b"]], 1)
        return self.head(self.layer(tokens, src_key_padding_mask=latents["absent"])[:, 0])


def test_few_uncertain_rows_of_a_transformer(calls):
    torch.manual_seed(0)
    net = Fusion().double().eval().requires_grad_(False)
    mean = {name: torch.randn(40, D).double() for name in "ab"}
    variance = {name: torch.rand(40, D).double() for name in "ab"}
    for s2 in variance.values():
        s2[3:] = 0
    absent = torch.zeros(40, 2, dtype=torch.bool)
    absent[1, 1] = True
    y = taylor(net, {**mean, "absent": absent}, variance)
    assert calls == [(4, 3, H, 2, D // H)]

    for row in range(3):
        cut = {name: z[row : row + 1] for name, z in {**mean, "absent": absent}.items()}
        for name in "ab":
            J = torch.autograd.functional.jacobian(
                lambda z, cut=cut, name=name: net({**cut, name: z})[0], cut[name]
            )[:, 0]
            expected = J.square() @ variance[name][row]
            torch.testing.assert_close(y.sources[name][row], expected)
    assert float(y.sources["b"][1].max()) == 0  # hidden
