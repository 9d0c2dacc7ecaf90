import pytest
import torch

from sure_pyro.backbones.hamlet.fusion import Fusion
from tests.backbones.hamlet.conftest import attend, normal


@pytest.mark.parametrize("merge", ["concatenation", "sum"])
def test_one_row_by_its_equation(merge):
    fusion = Fusion(3, 8, 2, 0.5, merge).eval()
    for bn in (fusion.before, fusion.after):
        bn.running_mean.copy_(torch.randn(3))
        bn.running_var.copy_(0.5 + torch.rand(3))
    z = torch.randn(4, 3, 8)
    h = fusion(z)
    for row in range(4):
        y = normal(fusion.after, attend(fusion.attention, normal(fusion.before, z[row]).relu()))
        y = y.relu()
        expected = y.sum(0) if merge == "sum" else y.flatten()
        torch.testing.assert_close(h[row], expected, rtol=1e-5, atol=1e-6)


def test_in_training_the_batch_norm_is_per_modality():
    fusion = Fusion(3, 8, 2, 0.0, "sum")
    z = torch.randn(50, 3, 8) * torch.tensor([1.0, 10.0, 100.0])[:, None]
    y = fusion.before(z)
    torch.testing.assert_close(y.std((0, 2), correction=0), torch.ones(3), rtol=1e-3, atol=1e-3)
