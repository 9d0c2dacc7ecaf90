"""Files that appear whole or not at all, and that a failure of the machine can not take back."""

from functools import partial

from sure_pyro import files
from sure_pyro.files import sync

__all__ = ["replacing", "sync"]

replacing = partial(files.replacing, durable=True)
