"""The ground every test starts from."""

from pathlib import Path

import pyro
import pytest
import torch

from tests import shape_checks

shape_checks.install()
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def same_ground():
    """A cleared parameter store, a fixed global seed, validation on, one thread."""
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pyro.validation_enabled():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def double():
    """Float64 as the default for a test that compares with closed forms."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def shared_data():
    """Path of a real dataset beside the project, by name; skips where it is absent."""

    def path(name: str) -> Path:
        file = SHARED / "data" / name / f"{name}.npz"
        if not file.exists():
            pytest.skip(f"{name}.npz is not beside the project")
        return file

    return path
