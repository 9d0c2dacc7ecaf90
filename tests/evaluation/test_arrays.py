import numpy as np
import torch

from sure_pyro.evaluation.arrays import as_float64


def test_gradients_and_precision_are_left_behind():
    x = as_float64(torch.ones(2, requires_grad=True))
    assert x.dtype == np.float64
    assert x.tolist() == [1, 1]
