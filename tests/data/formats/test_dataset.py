"""Rows of a dataset, whatever its format: in other processes, and in the order asked for."""

import pickle

import numpy as np
import pytest
import torch

from sure_pyro.data.formats import READERS, read_mosi
from tests.data.formats.small import mosi


@pytest.fixture
def data(tmp_path):
    return read_mosi(mosi(tmp_path), seconds=0.01)


def test_a_dataset_can_be_sent_to_another_process(data):
    copy = pickle.loads(pickle.dumps(data))
    assert copy.ids == data.ids
    np.testing.assert_array_equal(copy[3].values["audio"], data[3].values["audio"])


@pytest.mark.parametrize(
    ("rows", "numbers"),
    [
        (slice(1, 6, 2), [1, 3, 5]), ([4, 4, -1], [4, 4, 6]), (np.array([2, 0]), [2, 0]),
        (torch.tensor([2, 0]), [2, 0]), (torch.arange(7) > 4, [5, 6]), ([], []), (range(2), [0, 1]),
        (np.int64(3), [3]),
    ],
)  # fmt: skip
def test_rows_in_the_order_asked_for(data, rows, numbers):
    decoded = data[rows]
    decoded = decoded if isinstance(decoded, list) else [decoded]
    assert [row.number for row in decoded] == numbers
    assert data.select(rows).ids == tuple(data.ids[i] for i in numbers)


def test_a_dataset_is_not_endless(data):
    assert [row.id for row in data] == list(data.ids)
    for rows in (7, [0, 7], -8):
        with pytest.raises(IndexError):
            data[rows]


def test_readers_by_name(tmp_path):
    assert set(READERS) == {"mosi", "mm_imdb", "mmact", "mmsa"}
    assert len(READERS["mosi"](mosi(tmp_path))) == 7
