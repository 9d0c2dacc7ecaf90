"""The canonical form: what goes out comes back, and what is wrong is named."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from sure_pyro.data import Batch, from_arrays, load_npz, save_npz
from tests.data.strategies import NAN, batch_fields, same, small_batch


def through_a_file(batch, **options):
    with tempfile.TemporaryDirectory() as folder:
        save_npz(Path(folder) / "x.npz", batch)
        return load_npz(Path(folder) / "x.npz", **options)


@settings(deadline=None, max_examples=40)
@given(batch_fields())
def test_round_trip(fields):
    batch = Batch(**fields)
    same(through_a_file(batch), batch)
    same(through_a_file(batch.to(torch.float64)), batch.to(torch.float64))


@pytest.mark.parametrize(
    "changes",
    [
        {"target": None},
        {"target": torch.rand(4)},
        {"target": torch.rand(4, 2).double()},
        {"target": torch.eye(4), "class_names": ["a", "b", "c", "d"]},
        {"target": torch.eye(4), "task": "regression"},  # its look alone would mislead
        {"target": None, "task": "classification", "class_names": ["a", "b"]},
        {"test": torch.tensor([False, True, True, False])},
        {"padding": {"s": torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1]]).bool()}},
    ],
)
def test_round_trip_of_every_field(changes):
    batch = small_batch(**changes)
    same(through_a_file(batch), batch)


def test_rows_without_anything_need_to_be_allowed():
    batch = small_batch(available=torch.tensor([[1, 1], [0, 0], [1, 1], [1, 1]]).bool(),
                        allow_empty=True)  # fmt: skip
    same(through_a_file(batch, allow_empty=True), batch)
    with pytest.raises(ValueError, match="No modality is available in row 1"):
        through_a_file(batch)


def test_what_is_written_is_the_canonical_form(tmp_path):
    save_npz(tmp_path / "x.npz", small_batch(test=torch.tensor([True, False, False, False])))
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert file["modalities"].tolist() == ["v", "s"]
        assert np.isnan(file["v"]).any(1).tolist() == [False, True, False, False]
        assert (file["v"].dtype, file["y"].dtype) == (np.float32, np.int64)
        assert (file["split"].dtype, file["split"].tolist()) == (np.uint8, [1, 0, 0, 0])
        assert file["group"].dtype == np.int64
        assert "task" not in file.files


def canonical(**changes):
    arrays = {
        "modalities": np.array(["a", "b"]),
        "a": np.ones((3, 2), np.float32),
        "b": np.array([[1.0], [NAN], [1.0]], np.float32),
        "y": np.array([0, 1, 1]),
        "split": np.array([0, 0, 1], np.uint8),
    }
    return {k: v for k, v in {**arrays, **changes}.items() if v is not None}


def test_a_file_of_somebody_else(tmp_path):
    np.savez(tmp_path / "x.npz", **canonical())
    batch = load_npz(tmp_path / "x.npz")
    assert batch.available[:, 1].tolist() == [True, False, True]
    assert batch.test.tolist() == [False, False, True]
    assert batch.class_names == ("0", "1")
    np.savez(tmp_path / "y.npz", **canonical(y=None, split=None))
    assert load_npz(tmp_path / "y.npz").test is None


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"modalities": None}, ValueError, "no array 'modalities'"),
        ({"b": None}, ValueError, r"names the modalities \['b'\], but has no such arrays"),
        ({"a": np.ones((3, 2), np.int64)}, TypeError, "'a' .* must be float32 or .* got int64"),
        ({"a": np.ones((3, 2), np.float16)}, TypeError, "'a' .* got float16"),
        ({"a": np.ones((2, 2), np.float32)}, ValueError, "same number of rows; got 'a': 2, 'b': 3"),
        ({"modalities": np.array([1, 2])}, TypeError, "'modalities' .* array of text; got int64"),
        ({"modalities": np.array(["a", "a"])}, ValueError, "must differ"),
        ({"modalities": np.array(["a", "y"])}, ValueError, "must differ, also from"),
        ({"grup": np.zeros(3)}, ValueError, r"does not know: \['grup'\]"),
        ({"version": np.array(2)}, ValueError, "version 2 of the form; .* reads version 1"),
        ({"split": np.array([0, 1, 2])}, ValueError, r"0 \(train\) and 1 \(test\) only"),
        ({"y": np.array([0, 5, 1]), "class_names": np.array(["p", "q"])}, ValueError, "row 1"),
        ({"y": np.array([0.5, NAN, 1])}, ValueError, "`target` is NaN or infinite in row 1"),
        ({"y": np.array([0, 1])}, ValueError, r"`target` must have shape \(3,\)"),
        ({"class_names": np.array([0, 1])}, TypeError, "'class_names' .* array of text"),
        ({"b": np.array([["x"]] * 3)}, TypeError, "'b' .* must be float32"),
    ],
)
def test_files_that_do_not_fit(tmp_path, changes, error, text):
    np.savez(tmp_path / "x.npz", **canonical(**changes))
    with pytest.raises(error, match=text):
        load_npz(tmp_path / "x.npz")


def test_batches_that_can_not_be_written(tmp_path):
    x = np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match="'a' is torch.float16; .*float32.* can be written"):
        save_npz(tmp_path / "x.npz", from_arrays({"a": x.astype(np.float16)}))
    parts = {"a": torch.tensor([[True, False]])}
    with pytest.raises(ValueError, match="'a' holds integers that are recorded in parts"):
        save_npz(tmp_path / "x.npz", Batch({"a": torch.ones(1, 2).long()}, recorded=parts))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "rows", "test_rows", "task", "shapes"),
    [
        ("mfeat", 2000, 600, "classification", [(216,), (76,), (64,), (240,), (47,), (6,)]),
        ("avdigits", 1797, 592, "classification", [(8, 8), (20, 20)]),
        ("arem", 1637, 538, "classification", [(24, 2)] * 3),
        ("airquality_uci", 7674, 2439, "regression", [(5,), (3,), (5,), (2,)]),
        ("mosi_clean", 752, 248, "classification", [(100,), (73,), (100,)]),
        ("basicmotions", 80, 40, "classification", [(100, 3)] * 2),
    ],
)
def test_real_files(shared_data, name, rows, test_rows, task, shapes):
    batch = load_npz(shared_data(name))
    assert (len(batch), int(batch.test.sum()), batch.task) == (rows, test_rows, task)
    assert [tuple(x.shape[1:]) for x in batch.features.values()] == shapes
    train, validation, test = batch.split(seed=0)
    assert len(test) == test_rows
    assert 0.15 < len(validation) / (len(train) + len(validation)) < 0.35
    if batch.group is not None:
        assert not set(train.group.tolist()) & set(validation.group.tolist())
    same(through_a_file(batch), batch)


def test_truly_absent_modalities_of_a_real_file(shared_data):
    batch = load_npz(shared_data("airquality_uci"))
    share = 1 - batch.available.double().mean(0)
    assert share[:2].tolist() == pytest.approx([0.043, 0.043], abs=5e-4)
    assert share[2] == 0
    assert share[3] <= 0.054
