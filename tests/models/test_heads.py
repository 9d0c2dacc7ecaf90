import math

import numpy as np
import pytest
import torch
from torch import nn

from sure_pyro.models import BernoulliHead, CategoricalHead, GaussianHead, Output
from sure_pyro.models.heads import VARIANCE_FLOOR, moderated


@pytest.mark.parametrize("kind", [GaussianHead, CategoricalHead, BernoulliHead])
def test_mean_and_variance_have_one_shape_and_the_variance_a_floor(kind):
    head = kind(5, 3)
    nn.init.constant_(head.raw_variance.bias, -1e4)
    output = head(torch.randn(7, 5))
    assert output.mean.shape == output.variance.shape == (7, 3)
    torch.testing.assert_close(output.variance, torch.full((7, 3), VARIANCE_FLOOR))


def test_gaussian_head_starts_as_the_pretrained_readout_in_the_units_of_the_target():
    head, readout, h = GaussianHead(5, 1), nn.Linear(5, 1), torch.randn(7, 5)
    head.start_from(readout, 100 + 30 * torch.randn(50))
    torch.testing.assert_close(head.in_units(head(h)).mean, readout(h), rtol=1e-4, atol=1e-4)


def test_gaussian_units_undo_the_standardisation():
    head, y = GaussianHead(5, 2), torch.randn(50, 2) * torch.tensor([3.0, 40.0]) + 7
    head.start_from(None, y)
    torch.testing.assert_close(head.observed(y).std(0, correction=0), torch.ones(2))
    back = head.in_units(Output(head.observed(y), torch.ones(50, 2)))
    torch.testing.assert_close(back.mean, y)
    torch.testing.assert_close(back.variance[0].sqrt(), y.std(0, correction=0))


def test_categorical_head_starts_as_the_pretrained_readout():
    head, readout, h = CategoricalHead(5, 4), nn.Linear(5, 4), torch.randn(7, 5)
    head.start_from(readout, torch.zeros(3))
    assert torch.equal(head(h).mean, readout(h))


def test_a_readout_of_another_size_is_left_alone():
    head = CategoricalHead(5, 4)
    before = head.mean.weight.clone()
    head.start_from(nn.Linear(5, 3), torch.zeros(3))
    assert torch.equal(head.mean.weight, before)


def test_moderated_sigmoid_is_nearly_the_mean_of_sigmoids():
    """Against Gauss-Hermite quadrature; the approximation is known to be within 0.02."""
    nodes, weights = map(torch.tensor, np.polynomial.hermite_e.hermegauss(60))
    for m in (-3.0, -0.5, 1.0, 4.0):
        for s2 in (0.1, 1.0, 9.0):
            exact = (weights * torch.sigmoid(m + math.sqrt(s2) * nodes)).sum() / weights.sum()
            output = Output(torch.tensor([m]), torch.tensor([s2]))
            assert moderated(output).sigmoid().item() == pytest.approx(exact.item(), abs=0.02)


def test_variance_flattens_probabilities_and_keeps_their_order():
    mean = torch.tensor([[2.0, 0.0, -1.0]])
    sure = CategoricalHead(1, 3).probabilities(Output(mean, torch.zeros(1, 3)))
    unsure = CategoricalHead(1, 3).probabilities(Output(mean, torch.full((1, 3), 20.0)))
    torch.testing.assert_close(sure, mean.softmax(-1))
    assert unsure.max() < sure.max()
    assert unsure.argmax() == sure.argmax()
    torch.testing.assert_close(unsure.sum(), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("kind", "target", "event_shape"),
    [
        (GaussianHead, torch.randn(7), (1,)),
        (GaussianHead, torch.randn(7, 3), (3,)),
        (CategoricalHead, torch.randint(3, (7,)), ()),
        (BernoulliHead, torch.randint(2, (7, 3)), (3,)),
        (BernoulliHead, torch.randint(2, (7,)), (1,)),
    ],
)
def test_distribution_scores_the_target_row_by_row(kind, target, event_shape):
    head = kind(5, 3 if kind is CategoricalHead else target.reshape(7, -1).shape[1])
    fn = head.distribution(head(torch.randn(7, 5)))
    assert fn.batch_shape == (7,)
    assert fn.event_shape == event_shape
    assert fn.log_prob(head.observed(target)).shape == (7,)
