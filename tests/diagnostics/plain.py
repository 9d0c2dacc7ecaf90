"""What the tests of the ArviZ export need where there is no torch: imports, and plain arrays.

The export works on numpy and xarray, and is tested beside ArviZ 1.x too (`make test-arviz`), where
torch need not be installed. There the packages are entered without running their `__init__`, which
imports torch.
"""

import importlib.util
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import scipy.special

ROOT = Path(__file__).resolve().parents[2]

if importlib.util.find_spec("torch") is None:
    for name in ("sure_pyro", "sure_pyro.diagnostics"):
        package = types.ModuleType(name)
        package.__path__ = [str(ROOT.joinpath(*name.split(".")))]
        sys.modules[name] = package

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.0 at import
    import arviz as az

from sure_pyro.diagnostics import adapter, pit  # noqa: E402
from sure_pyro.diagnostics import groups as module  # noqa: E402

OLD = int(az.__version__.split(".")[0]) < 1
TASKS = ("regression", "classification", "multilabel")


def arrays(task, B=60, C=3, seed=0, wrong_by=1.0, **more):
    """Rows of two modalities, ``text`` missing in every other one; targets follow the prediction.

    The actual variance is `wrong_by` times the stated one.
    """
    rng = np.random.default_rng(seed)
    available = np.ones((B, 2), dtype=bool)
    available[::2, 0] = False
    mean = 2 * rng.normal(size=(B, C))
    head, missing = rng.uniform(0.1, 0.5, (2, B, C)) * [[[1.0]], [[2.0]]]
    missing[1::2] = 0
    f = mean + np.sqrt(wrong_by * (missing + head)) * rng.normal(size=(B, C))
    moderated = mean / np.sqrt(1 + np.pi / 8 * (missing + head))
    q = {"classification": scipy.special.softmax, "multilabel": scipy.special.expit}.get(task)
    q = q and (q(moderated, -1) if task == "classification" else q(moderated))
    target = {
        "regression": lambda: f,
        "classification": lambda: (rng.random((B, 1)) > np.cumsum(q, -1)).sum(-1).clip(max=C - 1),
        "multilabel": lambda: (rng.random((B, C)) < q).astype(np.int64),
    }[task]()
    loc = np.repeat(np.arange(4.0)[None, None], B, 0)  # (B, 1, 4)
    latents = {"text": (loc, 0 * loc + 0.5), "audio": (loc, loc + 1)}
    return module.Arrays(
        mean, {"text": missing, "head": head}, available, ("text", "audio"),
        tuple(f"y{c}" for c in range(C)), np.where(available[:, 0], "text+audio", "audio"), task,
        probability=q, **{"target": target, "latents": latents, **more},
    )  # fmt: skip


def exported(task, num_draws=1000, **options):
    return adapter.as_arviz(module.groups(arrays(task, **options), num_draws, seed=0))


__all__ = ["OLD", "TASKS", "adapter", "arrays", "az", "exported", "module", "pit"]
