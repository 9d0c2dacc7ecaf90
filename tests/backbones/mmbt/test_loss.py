import math

import pytest
import torch

from sure_pyro.backbones.mmbt import multilabel_loss, positive_weights

TARGET = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
def test_weights_are_rows_over_frequency_and_finite(dtype):
    assert positive_weights(TARGET.to(dtype)).tolist() == [1.0, 4.0, 4.0]


def test_loss_by_its_equation(double):
    logits, w = torch.randn(4, 3), torch.tensor([1.0, 4.0, 4.0])
    total = 0.0
    for b in range(4):
        for c in range(3):
            p = 1 / (1 + math.exp(-logits[b, c]))
            total -= w[c] * math.log(p) if TARGET[b, c] else math.log(1 - p)
    torch.testing.assert_close(multilabel_loss(logits, TARGET, w), torch.as_tensor(total / 12))


def test_without_weights_all_are_one():
    logits = torch.randn(4, 3)
    expected = multilabel_loss(logits, TARGET, torch.ones(3))
    torch.testing.assert_close(multilabel_loss(logits, TARGET), expected)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0]]).expand(4, 3).requires_grad_()
    loss = multilabel_loss(logits, TARGET, positive_weights(TARGET))
    assert loss.isfinite()
    assert torch.autograd.grad(loss, logits)[0].isfinite().all()
