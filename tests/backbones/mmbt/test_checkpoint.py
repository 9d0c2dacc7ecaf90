import argparse
import collections
import pickle
import zipfile

import numpy as np
import pytest
import torch

from sure_pyro.backbones.mmbt import MMBT
from sure_pyro.backbones.mmbt.checkpoint import read_weights
from tests.backbones.mmbt.conftest import make_batch, make_mmbt


def official_content(model, best_metric=0.5):
    """What the official trainer saves."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max")
    return {
        "epoch": 3,
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": schedule.state_dict(),
        "n_no_improve": 0,
        "best_metric": best_metric,
    }


@pytest.mark.parametrize("best_metric", [0.5, np.float64(0.5), np.float32(0.5), np.int64(1)])
def test_official_checkpoints_load_strictly_and_sizes_come_from_the_tensors(tmp_path, best_metric):
    model, batch = make_mmbt(num_labels=4, num_image_embeds=3), make_batch()
    torch.save(official_content(model, best_metric), tmp_path / "model_best.pt")
    loaded = MMBT.from_checkpoint(tmp_path / "model_best.pt", 3, num_heads=2).freeze()
    torch.testing.assert_close(loaded(batch), model(batch), rtol=0, atol=0)
    config = loaded.config
    assert {k: config[k] for k in ("num_labels", "num_image_embeds", "blocks", "width")} == {
        k: model.config[k] for k in ("num_labels", "num_image_embeds", "blocks", "width")
    }
    assert config["bert"] == model.config["bert"]


def test_a_scalar_of_numpy_is_refused_by_plain_safe_loading(tmp_path):
    torch.save({"best_metric": np.float64(0.5)}, tmp_path / "a.pt")
    with pytest.raises(pickle.UnpicklingError, match="scalar"):
        torch.load(tmp_path / "a.pt", weights_only=True)


def test_scalars_as_old_numpy_wrote_them(tmp_path):
    state = {"w": torch.zeros(2)}
    torch.save({"state_dict": state, "best_metric": np.float64(0.5)}, tmp_path / "new.pt")
    rewrite(tmp_path / "new.pt", tmp_path / "old.pt")
    assert list(read_weights(tmp_path / "old.pt")) == ["w"]


def rewrite(source, target):
    """Write the checkpoint with the module name that NumPy had before 2.0."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))


def test_safe_globals_are_as_before(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    torch.save({"state_dict": {"w": torch.zeros(2)}}, tmp_path / "a.pt")
    read_weights(tmp_path / "a.pt")
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_bare_state_dict_is_one_too(tmp_path):
    state = make_mmbt().state_dict()
    torch.save(state, tmp_path / "a.pt")
    loaded = MMBT.from_checkpoint(tmp_path / "a.pt", 1, num_heads=2).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


class Hostile:
    """Creates a file when it is unpickled in earnest."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_hostile_file_runs_nothing(tmp_path):
    mark = tmp_path / "was_here"
    torch.save({"state_dict": {}, "x": Hostile(mark)}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="it holds (builtins|io|_io).open.* nothing was run"):
        read_weights(tmp_path / "a.pt")
    assert not mark.exists()
    torch.load(tmp_path / "a.pt", weights_only=False)["x"].close()
    assert mark.exists()  # so the file was hostile


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        (argparse.Namespace(lr=1e-4), "argparse.Namespace"),
        (collections.deque(), "collections.deque"),
        (np.zeros(3), "_reconstruct"),
        (np.array(None, dtype=object), "_reconstruct"),
    ],
)
def test_anything_else_is_named_with_the_way_round(tmp_path, extra, named):
    torch.save({"state_dict": {"w": torch.zeros(2)}, "args": extra}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=rf"it holds \S*{named}.*save the tensors alone"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"hello world" * 9])
def test_files_that_are_no_checkpoints(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"a.pt (can not be read safely|holds no 'state_dict')"):
        read_weights(tmp_path / "a.pt")


def test_truncated_anywhere(tmp_path):
    torch.save(official_content(make_mmbt()), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for end in range(1, len(content), len(content) // 40):
        (tmp_path / "cut.pt").write_bytes(content[:end])
        with pytest.raises(ValueError, match="can not be read safely"):
            read_weights(tmp_path / "cut.pt")


@pytest.mark.parametrize(
    "content",
    [
        [torch.zeros(2)],
        {"state_dict": [1]},
        {"state_dict": {"w": 1.0}},
        {"state_dict": {3: torch.zeros(2)}},
        {"state_dict": {"w": torch.zeros(1).expand(10**12)}},  # claims more than the file has
        {"epoch": 3},
    ],
)
def test_contents_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ValueError, match="holds no 'state_dict' of tensors by name"):
        read_weights(tmp_path / "a.pt")


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.pt"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("clf.bias"), r"not that of MMBT: 'clf.bias' is not there"),
        (lambda s: s.pop("enc.clf.bias"), r"Missing key\(s\).*enc.clf.bias"),
        (lambda s: s.update(more=torch.zeros(1)), r"Unexpected key\(s\).*more"),
        (lambda s: s.update({"clf.bias": torch.tensor(1.0)}), r"not of such a shape"),
        (
            lambda s: s.update({"enc.img_embeddings.LayerNorm.bias": torch.zeros(16)}),
            r"differs from the text's LayerNorm.bias",
        ),
        (
            lambda s: s.update({"enc.encoder.layer.99999.x": torch.zeros(1)}),
            r"Unexpected key\(s\).*layer.99999",
        ),
    ],
)
def test_weights_of_another_network(tmp_path, change, message):
    state = make_mmbt().state_dict()
    change(state)
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=rf"(?s){message}"):
        MMBT.from_checkpoint(tmp_path / "a.pt", 1, num_heads=2)
