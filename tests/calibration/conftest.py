"""Initialised models whose sizes are wrong, and rows to make them right on."""

import pytest
import torch

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
