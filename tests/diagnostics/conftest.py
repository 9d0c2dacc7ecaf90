import numpy as np
import pytest
import torch

from sure_pyro.data import from_arrays
from sure_pyro.models import Prediction
from sure_pyro.propagation import Moments


def prediction(task, B=40, C=3, seed=0):
    """A prediction and its batch, two modalities, one of them missing in every other row."""
    rng = np.random.default_rng(seed)
    available = np.ones((B, 2), dtype=bool)
    available[::2, 0] = False
    mean = rng.normal(size=(B, C))
    head, missing = rng.uniform(0.1, 0.5, (2, B, C)) * [[[1.0]], [[2.0]]]
    missing[1::2] = 0
    moments = Moments(
        torch.tensor(mean), {"text": torch.tensor(missing), "head": torch.tensor(head)}
    )
    target = {
        "regression": mean + np.sqrt(head + missing) * rng.normal(size=(B, C)),
        "classification": rng.integers(0, C, B),
        "multilabel": rng.integers(0, 2, (B, C)).astype(np.float64),
    }[task]
    logits = moments.mean / (1 + torch.pi / 8 * moments.variance).sqrt()
    probabilities = {
        "regression": {},
        "classification": {"taylor": logits.softmax(-1)},
        "multilabel": {"taylor": logits.sigmoid()},
    }[task]
    x = {"text": rng.normal(size=(B, 2)), "audio": rng.normal(size=(B, 2))}
    batch = from_arrays(x, target, available=available, task=task)
    pattern = np.where(available[:, 0], "text+audio", "audio")
    names = tuple(f"y{c}" for c in range(C))
    result = Prediction(
        {"taylor": moments},
        probabilities,
        {},
        batch.available,
        ("text", "audio"),
        names,
        task,
        pattern,
    )
    return result, batch


@pytest.fixture(params=["regression", "classification", "multilabel"])
def task(request):
    return request.param
