import pytest
import torch
from torch import nn

from sure_pyro.backbones.affine import as_affine

H = torch.randn(9, 6)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(6, 3),
        nn.Linear(6, 3, bias=False),
        nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.Linear(4, 3)).eval(),
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)),
        nn.Identity(),
    ],
)
def test_any_affine_module_is_found(module):
    linear = as_affine(module, H)
    torch.testing.assert_close(linear(H), module(H))


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)),
        nn.Softmax(-1),
        nn.Unflatten(1, (2, 3)),
        nn.Linear(7, 3),
    ],
)
def test_what_is_not_affine_is_told_apart(module):
    assert as_affine(module, H) is None


def test_half_precision_gives_single():
    module = nn.Linear(6, 3).bfloat16()
    linear = as_affine(module, H.bfloat16())
    assert linear.weight.dtype == torch.float32
    torch.testing.assert_close(linear.weight, module.weight.float(), atol=2e-2, rtol=0)
