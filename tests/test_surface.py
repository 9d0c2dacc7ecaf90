"""What `import sure_pyro` offers, and what it does not cost."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pyro
import pytest

import sure_pyro as sp
from sure_pyro import comparison


def loaded(statement: str) -> set[str]:
    """Modules that a statement imports, in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()
    )


def test_every_name_is_there_and_is_no_module_in_disguise():
    for name in sp.__all__:
        assert getattr(sp, name) is not None
    assert set(sp.__all__) <= set(dir(sp))
    assert not isinstance(sp.compare, ModuleType)
    assert isinstance(comparison, ModuleType)  # a room of another name
    assert sp.compare is comparison.compare


PACKAGES = [sp.__name__] + [
    found.name for found in pkgutil.walk_packages(sp.__path__, "sure_pyro.") if found.ispkg
]
PYRO = [pyro.distributions, pyro.infer, pyro.infer.autoguide, pyro.nn, pyro.optim, pyro.poutine]


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_offers_is_there_and_hides_no_module(name):
    package = importlib.import_module(name)
    offered = {n: getattr(package, n) for n in getattr(package, "__all__", ())} | vars(package)
    modules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    hidden = {n for n in modules & set(offered) if not isinstance(offered[n], ModuleType)}
    assert hidden == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_nothing_is_named_like_a_class_of_pyro_that_is_another(name):
    package = importlib.import_module(name)
    classes = {n: c for room in PYRO for n, c in inspect.getmembers(room, inspect.isclass)}
    ours = {n: getattr(package, n) for n in getattr(package, "__all__", ())}
    assert {n for n in ours if n in classes and ours[n] is not classes[n]} == set()


def test_a_name_that_is_not_offered():
    with pytest.raises(AttributeError, match="sure_pyro.*compara"):
        sp.compara  # noqa: B018


def test_importing_costs_what_is_used():
    assert "torch" not in loaded("import sure_pyro")
    propagation = loaded("from sure_pyro.propagation import taylor")
    assert "torch" in propagation
    assert not {"pyro", "pandas", "scipy", "sklearn", "matplotlib", "arviz"} & propagation
    arrays = loaded("from sure_pyro.calibration import arrays; arrays.ConformalIntervals")
    assert not {"torch", "pyro", "matplotlib"} & arrays
    model = loaded("import sure_pyro as sp; sp.SURE; sp.fit; sp.Batch")
    assert not {"lightning_fabric", "arviz", "matplotlib", "sklearn"} & model
