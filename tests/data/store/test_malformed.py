"""Stores that something else than this program wrote, or changed, with checksums made right."""

import json
import os
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from sure_pyro.data.store import LatentStore, row_blocks
from sure_pyro.data.store.manifest import FILE, _digest
from sure_pyro.data.store.shard import STEM, checksum
from tests.data.store.conftest import ROWS, Encoder


@pytest.fixture
def folder(tmp_path):
    LatentStore.create(
        tmp_path / "store", row_blocks(ROWS, 20), Encoder(), shard_rows=20, task="classification",
        class_names=["a", "b", "c"], progress_bar=False,
    )  # fmt: skip
    return tmp_path / "store"


def rewrite(folder, change):
    """Change a manifest, and make its checksum right again."""
    state = json.loads((folder / FILE).read_text())
    change(state)
    state.pop("digest", None)
    (folder / FILE).write_text(json.dumps(state | {"digest": _digest(state)}))


def setting(*keys):
    """Set what lies under all but the last of the keys to the last one."""

    def change(state):
        *path, name, value = keys
        for key in path:
            state = state[key]
        state[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (setting("shards", None), "is no manifest of a store of latents: .*not iterable"),
        (setting("shards", []), "it needs shards, and each once"),
        (setting("shards", ["shard-00000.safetensors"]), "is no manifest"),
        (setting("shards", 1, "file", STEM.format(0)), "it needs shards, and each once"),
        (setting("shards", 1, "file", 7), r"names files that are no shards: \[7\]"),
        (setting("shards", 1, "file", "/etc/passwd"), "names files that are no shards"),
        (setting("shards", 0, "rows", 2**60), "needs whole numbers of rows and bytes; got 11529"),
        (setting("shards", 0, "rows", "20"), "needs whole numbers of rows and bytes; got '20'"),
        (setting("shards", 0, "rows", float("nan")), "needs whole numbers of rows and bytes"),
        (setting("shards", 2, "rows", 0), "it has a shard without rows"),
        (setting("shards", 0, "rows", 19), r"the same rows; got \[19, 20, 13\]"),
        (setting("shards", 0, "bytes", -1), "needs whole numbers of rows and bytes; got -1"),
        (setting("shards", 0, "bytes", 2**40), r"expected are 1099511627776 bytes"),
        (setting("shards", 0, "sha256", None), "shard-00000.safetensors has no checksum"),
        (setting("shards", 0, "sha256", ""), "its checksum differs"),
        (setting("layout", []), "is no manifest of a store of latents"),
        (setting("layout", "columns", {}), "'text' has no values of shape"),
        (setting("layout", "modalities", []), "none of latents by modality"),
        (setting("layout", "modalities", ["video"]), "'video' has no values of shape"),
        (setting("layout", "modalities", [["text"]]), "is no manifest of a store of latents"),
        (setting("layout", "sequences", ["video"]), "none of latents by modality"),
        (setting("layout", "columns", "x", {"dtype": "int8", "shape": []}), r"\['x'\]"),
        (setting("layout", "columns", "source", "dtype", "int8"), r"\['source'\]"),
        (setting("layout", "columns", "group", "shape", [3]), r"\['group'\]"),
        (setting("layout", "columns", "values/text", "dtype", "object"), "'object'"),
        (setting("layout", "columns", "values/text", "shape", [5]), "no values of shape"),
        (setting("layout", "columns", "values/text", "shape", [2**50, 3]), "positive whole"),
        (setting("layout", "columns", "values/text", "shape", [7, 3]), "available/text"),
        (setting("settings", {}), "'class_names'"),
        (setting("settings", "class_names", "abc"), "'class_names' must be a list of texts"),
        (setting("settings", "task", "guess"), "'task' must be one of"),
        (setting("skipped", None), "needs whole numbers of rows and bytes; got None"),
    ],
)  # fmt: skip
def test_a_manifest_with_a_right_checksum_and_wrong_content(folder, change, why):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=why):
        LatentStore.open(folder)


def test_a_manifest_that_is_too_large(folder, monkeypatch):
    monkeypatch.setattr("sure_pyro.data.store.manifest.LIMIT", 100)
    with pytest.raises(ValueError, match=r"is no manifest of a store of latents: it is too large"):
        LatentStore.open(folder)


@pytest.mark.parametrize("where", ["../outside", "/dev/zero", STEM.format(0), "nowhere"])
def test_shards_by_symbolic_links_that_lead_elsewhere(folder, where):
    path = folder / STEM.format(0)
    os.replace(path, folder.parent / "outside")
    path.symlink_to(where)
    with pytest.raises(ValueError, match="a symbolic link that leads out of the folder|not there"):
        LatentStore.open(folder, verify=False)


@pytest.mark.parametrize("kind", ["empty", "folder", "pipe"])
def test_what_is_no_shard(folder, kind):
    path = folder / STEM.format(1)
    path.unlink()
    {"empty": path.touch, "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[kind]()
    with pytest.raises(ValueError, match=rf"{path.name}: it (has 0 bytes|is not there)"):
        LatentStore.open(folder, verify=False)


def replaced(folder, tensors):
    """Write other tensors into the first shard, and enter it in the manifest."""
    path = folder / STEM.format(0)
    save_file(tensors, path)
    described = {"bytes": path.stat().st_size, "sha256": checksum(path)}
    rewrite(folder, lambda state: state["shards"][0].update(described))


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("values/text", float("nan"), "'text' has NaN or infinite values"),
        ("values/audio", float("inf"), "'audio' has NaN or infinite values"),
        ("target", 7, "class"),
    ],
)
def test_rows_that_can_not_be(folder, name, value, why):
    tensors = load_file(folder / STEM.format(0))
    tensors[name].fill_(value)
    replaced(folder, tensors)
    with pytest.raises(ValueError, match=why):
        LatentStore.open(folder).batch()


def test_tensors_of_another_form(folder):
    tensors = load_file(folder / STEM.format(0))
    for other in (tensors["group"].float(), tensors["group"][:5].clone(), torch.zeros(20, 2)):
        replaced(folder, tensors | {"group": other})
        with pytest.raises(ValueError, match=r"shard-00000.safetensors belongs to another store"):
            LatentStore.open(folder).batch()
    del tensors["group"]
    replaced(folder, tensors)
    with pytest.raises(ValueError, match="belongs to another store"):
        LatentStore.open(folder).batch()


def test_a_header_that_claims_more_than_there_is(folder):
    path = folder / STEM.format(0)
    data = path.read_bytes()
    path.write_bytes(struct.pack("<Q", 2**62) + data[8:])
    with pytest.raises(ValueError, match=r"shard-00000.safetensors is no shard that can be read"):
        LatentStore.open(folder, verify=False).batch()
