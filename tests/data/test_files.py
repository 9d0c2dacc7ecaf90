"""Arrays on disk: whole or not at all, and never a pickle."""

import pickle
import zipfile

import numpy as np
import pytest

from sure_pyro.data.files import read_arrays, write_arrays


def test_round_trip_with_awkward_names(tmp_path):
    arrays = {"file": np.arange(3), "a/b.c": np.array(["x", "yy"]), "s": np.array(1.5)}
    write_arrays(tmp_path / "x.npz", arrays)
    read = read_arrays(tmp_path / "x.npz")
    assert list(read) == list(arrays)
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["file"], arrays["file"])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.npz"
    write_arrays(path, {"a": np.ones(2)})
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(path, {"a": np.zeros(2), "b": np.array([object()])})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_objects_are_not_loaded(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(TypeError, match="Array 'a' .* holds pickled objects"):
        read_arrays(tmp_path / "x.npz")


def test_what_is_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*none.npz"):
        read_arrays(tmp_path / "none.npz")
    (tmp_path / "x.npz").write_bytes(pickle.dumps([1]))
    with pytest.raises(ValueError, match=r"is no .npz file"):
        read_arrays(tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write_arrays(tmp_path / "none" / "x.npz", {})


def test_no_pickle_is_written(tmp_path):
    write_arrays(tmp_path / "x.npz", {"a": np.array(["text"]), "b": np.ones(2)})
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        for name in archive.namelist():
            assert archive.read(name)[:6] == b"\x93NUMPY"
