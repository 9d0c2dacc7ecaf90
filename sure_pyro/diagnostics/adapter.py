"""Groups of labelled arrays as the object of the installed ArviZ: the one place that knows which.

ArviZ 0.x (all that Python 3.11 gets) works with its own `InferenceData`, 1.x (Python 3.12 and
later) with xarray's `DataTree`. Both are read by ``group["name"]``, written by ``to_netcdf(path)``
and read back by ``arviz.from_netcdf(path)``. Neither torch nor the rest of the library is needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import xarray as xr


def as_arviz(groups: Mapping[str, xr.Dataset]) -> Any:
    """Groups as the object of the installed ArviZ: `InferenceData` (0.x) or `DataTree` (1.x)."""
    arviz = installed()
    if int(arviz.__version__.split(".")[0]) < 1:  # 1.x still answers to `InferenceData`
        return arviz.InferenceData(**dict(groups))
    return xr.DataTree.from_dict({f"/{name}": group for name, group in groups.items()})


def group(idata: Any, name: str) -> xr.Dataset:
    """One group of such an object as a Dataset.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    groups = list(idata.children) if isinstance(idata, xr.DataTree) else list(idata.groups())
    if name not in groups:
        raise ValueError(
            f"The group {name!r} is needed, and there are only {groups}. `observed_data` and "
            "`log_likelihood` need a batch with targets."
        )
    found = idata[name]
    return found.to_dataset() if isinstance(found, xr.DataTree) else found


def installed() -> ModuleType:
    """ArviZ, imported in silence: 0.23 announces 1.0 by a FutureWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz
