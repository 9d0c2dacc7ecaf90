"""A small model and its rows, interruptions, and a digest of what was fitted."""

import hashlib

import pytest
import torch

import sure_pyro as sp
from sure_pyro.training import loop
from tests.models.conftest import make_batch


def small_model(train, **options):
    """An untrained model on a backbone with weights of its own, the same at every call."""
    torch.manual_seed(0)
    return sp.SURE(
        sp.MLPBackbone.for_data(train, latent_size=4),
        reconstructor_options={"width": 8, "dropout": 0.1},
        **options,
    )


def rows(seed=0, B=40, **options):
    return make_batch(B=B, seed=seed, **options)


def fingerprint(*modules):
    """Hash of every byte of parameters and buffers."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def fitted_parts(model):
    return fingerprint(model.reconstructor, model.head)


@pytest.fixture
def interrupted(monkeypatch):
    """Call a function whose training is stopped by hand after so many epochs on disk."""

    def call(function, after):
        done, original = [], loop.save_checkpoint

        def save(*args, **kwargs):
            original(*args, **kwargs)
            done.append(1)
            if len(done) == after:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(loop, "save_checkpoint", save)
            return function()

    return call
