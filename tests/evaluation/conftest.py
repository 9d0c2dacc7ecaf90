"""Rows, masks, and a small fitted model."""

import pytest
import torch

from sure_pyro import backbones, data, models, training
from sure_pyro.data.masked_rows import draw_masks
from tests.calibration import conftest as calibrated

worlds = calibrated.worlds  # by task: a model whose variances are wrong, and rows


@pytest.fixture(scope="session")
def parts():
    """Training, validation and test rows of three modalities that share a lot."""
    batch, _ = data.synthetic(300, task="classification", share=0.8, seed=0)
    return batch.split(seed=0)


@pytest.fixture(scope="session")
def model(parts):
    """Fitted for a few epochs: enough to be better than chance."""
    torch.set_num_threads(1)
    train, validation, _ = parts
    backbone = backbones.MLPBackbone.for_data(train)
    backbones.pretrain(backbone, train, validation, epochs=15, progress_bar=False)
    fitted = models.SURE(backbone)
    training.fit(fitted, train, validation, epochs=8, progress_bar=False)
    return fitted


@pytest.fixture(scope="session")
def masked(parts):
    return draw_masks(parts[2], seed=0)
