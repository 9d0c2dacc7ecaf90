"""Initialised models whose variances are wrong, and rows to make them right on."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import every_mask
from tests.models.conftest import make_batch, make_model

TASKS = ("classification", "regression", "multilabel")


def stretched(batch):
    return batch.replace(features={name: 1.8 * x for name, x in batch.features.items()})


@pytest.fixture(scope="session")
def worlds():
    """By task: an untrained model, held-out rows and new rows of the same law, all complete.

    Their features are stretched against those that the model was standardised by, so that its
    scales are too small.
    """
    found = {}
    for task in TASKS:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        model = make_model(make_batch(200, 1, missing=False, task=task))
        rows = [stretched(make_batch(n, s, False, task)) for n, s in ((500, 2), (800, 3))]
        torch.set_num_threads(threads)
        found[task] = (model, *rows)
    return found


@pytest.fixture(scope="session")
def calibrated(worlds):
    """By task: the model, recalibrated on all held-out rows."""
    return {task: sp.recalibrate(*worlds[task][:2]) for task in TASKS}


@pytest.fixture(scope="session")
def measured(worlds, calibrated):
    """By task: new rows under every mask, as the model predicts them before and after."""
    found = {}
    for task in TASKS:
        masked = every_mask(worlds[task][2])
        models = (worlds[task][0], calibrated[task])
        found[task] = (masked, *(model.predict(masked.batch) for model in models))
    return found
