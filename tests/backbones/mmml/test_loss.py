"""The loss of the three heads."""

import pytest
import torch

from sure_pyro.backbones.mmml import multi_task_loss


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_absolute_errors_add_up_with_equal_weights(shape):
    outputs = {
        "T": torch.tensor([[1.0], [0.0]]),
        "A": torch.tensor([[0.0], [0.0]]),
        "M": torch.tensor([[2.0], [-3.0]]),
    }
    target = torch.tensor([2.0, -1.0]).reshape(shape)
    expected = (1 + 1) / 2 + (2 + 1) / 2 + (0 + 2) / 2
    assert multi_task_loss(outputs, target).item() == pytest.approx(expected)
