"""Small fitted models: a sound one, and one for each way in which it goes wrong."""

import functools

import numpy as np
import torch

from sure_pyro import backbones, data, missing, models, training
from sure_pyro.diagnostics import diagnose


@functools.cache
def sound():
    return fitted(shared(900), epochs=50)


@functools.cache
def sure_of_itself():
    """Few rows, and epochs chosen on those very rows."""
    train, _, test = shared(400).split((0.05, 0.45, 0.5), seed=0)
    return fitted((train, train, test), objective="elbo", epochs=200, width=64)


@functools.cache
def by_correlation_alone():
    """Correlation over four rows that outweighs the squared error and sees no scale."""
    parts = shared(300).split((0.3, 0.2, 0.5), seed=0)
    return fitted(parts, objective="sure", weight=5.0, batch_size=4, epochs=24, lr=2e-2)


@functools.cache
def unrelated():
    return fitted(data.synthetic(400, share=0.0, seed=0)[0], epochs=6)


@functools.cache
def carried():
    """The last three modalities are noisy copies of one entry each of the first."""
    rng = np.random.default_rng(0)
    f = rng.normal(size=(900, 3)).astype(np.float32)
    noise = 0.5 * rng.normal(size=f.shape).astype(np.float32)
    x = {"all": f} | {f"copy{k}": f[:, k : k + 1] + noise[:, k : k + 1] for k in range(3)}
    return fitted(data.from_arrays(x, f.sum(1)), epochs=50)


def shared(rows):
    return data.synthetic(rows, share=0.9, num_factors=2, noise=0.3, seed=0)[0]


def fitted(parts, objective="elbo+pcc", width=32, **options):
    """History, prediction of masked rows, and their truth."""
    torch.set_num_threads(1)
    train, validation, test = parts if isinstance(parts, tuple) else parts.split(seed=0)
    backbone = backbones.MLPBackbone.for_data(train, dropout=0.0)
    backbones.pretrain(backbone, train, validation, epochs=15, progress_bar=False)
    model = models.SURE(backbone, reconstructor_options={"width": width, "dropout": 0.0})
    options = {"batch_size": 64, "lr": 5e-3, **options, "progress_bar": False}
    history = training.fit(model, train, validation, objective, **options)
    prediction = model.predict(missing.mcar(test, 0.5, seed=0))
    return history, prediction, model.encode(test)


def names(case):
    """Signatures found with the truth, and without."""
    history, prediction, truth = case()
    return diagnose(history, prediction, truth).names, diagnose(history, prediction).names
