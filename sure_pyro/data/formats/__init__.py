"""Public datasets in the formats in which they are given out, read safely and row by row."""

from sure_pyro.data.formats.dataset import RawDataset
from sure_pyro.data.formats.errors import DatasetError
from sure_pyro.data.formats.mm_imdb import read_mm_imdb
from sure_pyro.data.formats.mmact import read_mmact
from sure_pyro.data.formats.mmsa import convert_mmsa, read_mmsa
from sure_pyro.data.formats.mosi import read_mosi

READERS = {"mosi": read_mosi, "mm_imdb": read_mm_imdb, "mmact": read_mmact, "mmsa": read_mmsa}
"""What opens a folder, by the name of its format."""

__all__ = [
    "READERS",
    "RawDataset",
    "DatasetError",
    "read_mosi",
    "read_mm_imdb",
    "read_mmact",
    "convert_mmsa",
    "read_mmsa",
]
