"""Arrays on disk without pickle, written under a temporary name and renamed."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sure_pyro.files import replacing

Arrays = dict[str, np.ndarray]


def read_arrays(path: str | Path) -> Arrays:
    """All arrays of an ``.npz`` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ``.npz`` file.
    TypeError
        If an array holds pickled objects, which are never loaded.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no .npz file (numpy.savez writes one).")
    with np.load(path, allow_pickle=False) as file:
        return {key: _read(file, key, path) for key in file.files}


def _read(file: Any, key: str, path: str | Path) -> np.ndarray:
    try:
        return file[key]
    except ValueError as error:
        raise TypeError(
            f"Array {key!r} in {path} holds pickled objects, which are not loaded: {error} "
            "Save numbers, or text as a unicode array."
        ) from error


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write a compressed ``.npz``; a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for key, values in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(values), allow_pickle=False)
