"""Open targets: read by plain rules, announced alike at every door, and overridden by ``task=``."""

import numpy as np
import pandas as pd
import pytest
import torch

from sure_pyro.data import Batch, from_arrays, from_dataframe, load_npz, save_npz
from sure_pyro.data.ambiguous import could_be_classes, is_one_hot, note_on
from tests.data.strategies import same, small_batch


def batch_of(target, **options) -> Batch:
    return from_arrays({"a": np.ones((len(target), 1), np.float32)}, target, **options)


OPEN = [
    ([0.0, 1.0, 1.0], "classification", "2 different whole floats read as classes; task='regr"),
    ([0.0, 1.0, 2.0] * 2, "classification", "3 different whole floats read as classes"),
    ([1.0, 2.0, 3.0] * 2, "classification", "read as classes named '1' to '3'; task='regression'"),
    ([0.0, 5.0, 9.0], "regression", "3 different whole floats read as numbers; task='classif"),
    ([[0.0], [4.0]], "regression", "2 different whole floats read as numbers"),
    ([0, 1, 7], "classification", "3 different integers read as classes; task='regression'"),
    (list(range(30)), "classification", "30 different integers read as classes"),
    ([1, 2, 3], "classification", "read as classes named '1' to '3'"),
    ([[0, 1], [1, 0]], "multilabel", "single 1 in each row read as labels; task='classification'"),
    ([[0], [1]], "multilabel", "one column of 0 and 1 read as a label; task='classification'"),
]


@pytest.mark.parametrize(("target", "task", "note"), OPEN)
def test_an_open_target_is_announced_at_every_door(target, task, note, tmp_path):
    y = torch.tensor(target)
    x = {"a": torch.ones(len(y), 1)}
    columns = [f"y{c}" for c in range(y.reshape(len(y), -1).shape[1])]
    df = pd.DataFrame(y.reshape(len(y), -1).numpy(), columns=columns).assign(a=1.0)
    np.savez(tmp_path / "x.npz", modalities=np.array(["a"]), a=np.ones((len(y), 1)), y=y.numpy())
    doors = [
        Batch(x, target=y),
        from_arrays(x, target),
        from_dataframe(df, {"a": ["a"]}, columns if y.ndim == 2 else "y0"),
        load_npz(tmp_path / "x.npz"),
    ]
    for batch in doors:
        assert batch.task == task
        assert note in repr(batch).splitlines()[-1]
        assert note.replace("'", "&#x27;") in batch._repr_html_()
        assert torch.equal(batch.target.double(), doors[0].target.double())
        assert batch.class_names == doors[0].class_names


@pytest.mark.parametrize(
    "target",
    [
        [0, 1, 2, 1],
        [0.5, 1.5],
        [[0, 1], [1, 1]],
        [[0.5, 1], [0, 2]],
        [True, False],
        ["a", "b"],
        [k + 0.0 for k in range(200)],
    ],
)
def test_a_plain_target_needs_no_word(target):
    assert batch_of(target).notes == {}


@pytest.mark.parametrize(
    ("target", "task", "values", "dtype"),
    [
        ([0.0, 1.0], "regression", [0, 1], torch.float64),
        ([3, 5], "regression", [3, 5], torch.float32),
        ([True, False], "regression", [1, 0], torch.float32),
        ([0.0, 5.0], "classification", [0, 5], torch.int64),
        ([[0.0], [1.0]], "classification", [0, 1], torch.int64),
        ([[0], [2]], "classification", [0, 2], torch.int64),
        ([[0, 1, 0], [0, 0, 1]], "classification", [1, 2], torch.int64),
        ([[False, True], [True, False]], "classification", [1, 0], torch.int64),
        ([[0, 1], [1, 0]], "regression", [[0, 1], [1, 0]], torch.float32),
        ([[0], [1]], "multilabel", [[0], [1]], torch.float32),
    ],
)
def test_task_overrides_and_silences(target, task, values, dtype):
    batch = batch_of(target, task=task)
    assert (batch.task, batch.target.tolist(), batch.target.dtype) == (task, values, dtype)
    assert batch.notes == {}
    direct = Batch({"a": torch.ones(len(values), 1)}, target=torch.tensor(target), task=task)
    assert direct.target.tolist() == values


def test_one_hot_columns_are_the_classes_even_if_the_first_is_not_met():
    batch = batch_of([[0, 1, 0], [0, 0, 1]], task="classification")
    assert batch.class_names == ("0", "1", "2")
    named = batch_of([[0, 1], [1, 0]], task="classification", class_names=["p", "q"])
    assert named.class_names == ("p", "q")


def test_booleans_are_two_classes_even_if_one_is_met():
    assert batch_of([True, True]).class_names == ("False", "True")
    assert batch_of([True, True]).target.tolist() == [1, 1]


def test_class_names_switch_the_counting_from_one_off():
    assert batch_of([1, 2], class_names=["z", "a", "b"]).target.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        ([0.0, 1.0], True),
        ([1.0, 2.0], True),
        ([0.0, 1.0, 2.0], False),  # too few rows to tell
        ([0.0, 1.0, 2.0] * 2, True),
        ([0.0, 2.0] * 4, False),
        ([-1.0, 1.0] * 4, False),
        ([0.0] * 4, False),
        ([0.0, 1.0, 1.5] * 4, False),
        (list(map(float, range(21))) * 2, False),
    ],
)
def test_which_floats_could_be_classes(target, classes):
    assert could_be_classes(torch.tensor(target)) is classes


def test_one_hot():
    assert is_one_hot(torch.eye(3))
    assert not is_one_hot(torch.ones(3, 2))
    assert not is_one_hot(torch.ones(3, 1))
    assert note_on(torch.rand(4, 2)) is None


def test_a_note_goes_with_its_target(tmp_path):
    batch = batch_of([0.0, 1.0, 1.0, 0.0])
    assert batch[:2].notes == Batch.cat([batch, batch]).notes == batch.notes
    assert batch.replace(group=torch.arange(4)).notes == batch.notes
    assert batch.replace(target=torch.rand(4), task=None, class_names=None).notes == {}
    counts = small_batch(target=torch.tensor([0.0, 1.0, 1.0, 0.0]), task="regression")
    save_npz(tmp_path / "x.npz", counts)
    same(load_npz(tmp_path / "x.npz"), counts)
