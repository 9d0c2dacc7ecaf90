"""What goes into a store comes out, in any order; every row once; nothing that was changed."""

import copy
import json
import pickle
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sure_pyro.data.store import LatentStore, fingerprint, row_blocks
from sure_pyro.data.store.shard import STEM
from tests.data.store.conftest import ROWS, Encoder, same

QUIET = {"progress_bar": False}


@pytest.fixture
def store(tmp_path, encoder):
    """Six shards: five of ten rows, one of three."""
    blocks = row_blocks(ROWS, 7)
    settings = {"task": "classification", "class_names": ["a", "b", "c"], "fingerprint": {"w": 1}}
    return LatentStore.create(
        tmp_path / "store", blocks, encoder, shard_rows=10, **settings, **QUIET
    )


# -- what comes out -------------------------------------------------------------------------------


def test_what_a_store_says_of_itself(store, encoder):
    assert (len(store), store.modalities, store.skipped) == (ROWS, ("text", "audio"), 0)
    assert store.shapes == {"text": (5, 3), "audio": (1, 4)}
    assert (store.sequences, store.padded) == ({"text"}, {"text"})
    assert store.dtypes == {"text": torch.float32, "audio": torch.float32}
    assert (store.class_names, store.task, store.fingerprint) == (
        ("a", "b", "c"), "classification", {"w": 1})  # fmt: skip
    assert torch.equal(store.target, encoder.fields["target"])
    assert torch.equal(store.group, encoder.fields["group"])
    assert torch.equal(store.source, torch.arange(ROWS))
    assert torch.equal(store.available, encoder.fields["available"])
    assert {n: m.nonzero().flatten().tolist() for n, m in store.splits.items()} == {
        "train": list(range(33)),
        "validation": list(range(33, 41)),
        "test": list(range(41, 53)),
    }
    assert repr(store) == f"<LatentStore {store.folder}: 53 rows; text 5 x 3, audio 1 x 4>"


def test_shards_and_nothing_else_are_left(store):
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == ["manifest.json", *(STEM.format(i) for i in range(6))]
    assert [shard.rows for shard in store.manifest.shards] == [10, 10, 10, 10, 10, 3]


@pytest.mark.parametrize(
    "rows",
    [
        slice(None), slice(5, 31, 3), slice(0, 0), [52, 0, 0, 17], 9, -1, torch.tensor([-53, 50]),
        torch.arange(ROWS) % 5 == 0, [], [True, False] * 26 + [True],
    ],
)  # fmt: skip
def test_rows_come_back_to_the_last_bit(store, encoder, rows):
    index = torch.arange(ROWS)[rows if not isinstance(rows, list) or rows else []].reshape(-1)
    same(store.read(rows), encoder.expected(index))


def test_rows_that_are_not_there(store):
    for rows in (53, [0, 60], torch.tensor([-54])):
        with pytest.raises(IndexError):
            store.read(rows)


@settings(deadline=None, max_examples=10)
@given(data=st.data())
def test_any_sizes_give_the_same_rows(tmp_path_factory, data):
    rows = data.draw(st.integers(21, 60))
    encoder = Encoder(rows)
    store = LatentStore.create(
        tmp_path_factory.mktemp("store") / "s",
        row_blocks(
            rows, data.draw(st.integers(1, 70)), seed=data.draw(st.none() | st.integers(0, 9))
        ),
        encoder,
        shard_rows=data.draw(st.integers(1, 70)),
        shard_bytes=data.draw(st.sampled_from([1, 500, 10**6])),
        **QUIET,
    )
    assert set(encoder.calls.values()) == {1}
    same(store.read(slice(None)), encoder.expected(store.source))
    assert sorted(store.source.tolist()) == list(range(rows))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes_on_disk(tmp_path, dtype):
    encoder = Encoder()
    store = LatentStore.create(tmp_path, row_blocks(ROWS), encoder, dtype=dtype, **QUIET)
    expected = encoder.expected(torch.arange(ROWS))
    expected["values"] = {name: z.to(dtype) for name, z in expected["values"].items()}
    same(store.read(slice(None)), expected)
    other = Encoder(dtype=dtype)
    as_they_come = LatentStore.create(tmp_path / "as", row_blocks(ROWS), other, **QUIET)
    same(as_they_come.read(3), other.expected(torch.tensor([3])))


def test_what_is_stored_under_missing_entries_has_no_effect(tmp_path):
    first, second = Encoder(), Encoder()
    second.fields["values"]["audio"][~second.fields["available"][:, 1]] = float("nan")
    second.fields["values"]["text"][~second.fields["padding"]["text"]] = 1e30
    for encoder, name in ((first, "a"), (second, "b")):
        LatentStore.create(tmp_path / name, row_blocks(ROWS), encoder, **QUIET)
    shard = STEM.format(0)
    assert (tmp_path / "a" / shard).read_bytes() == (tmp_path / "b" / shard).read_bytes()


def test_a_store_of_nothing_but_values(tmp_path):
    z = torch.randn(4, 2)
    store = LatentStore.create(tmp_path, [[0, 1], [2, 3]], lambda rows: {"values": {"x": z[rows]}},
                               **QUIET)  # fmt: skip
    came = store.read(slice(None))
    assert torch.equal(came["values"]["x"].squeeze(1), z)
    assert came["available"]["x"].all()
    assert (came["padding"], came["target"], came["group"], store.splits) == ({}, None, None, {})
    assert store.sequences == frozenset()


# -- blocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1, 2000, 10**9])
@pytest.mark.parametrize("size", [1, 8, 10, 53, 100])
def test_every_row_once_an_epoch(store, encoder, size, memory):
    blocks = list(store.blocks(size, shuffle_seed=3, memory=memory))
    source = torch.cat([block["source"] for block in blocks])
    assert sorted(source.tolist()) == list(range(ROWS))
    assert [len(b["source"]) for b in blocks] == [size] * (ROWS // size) + [ROWS % size] * (
        ROWS % size > 0)  # fmt: skip
    for block in blocks:
        same(block, encoder.expected(block["source"]))


def test_the_seed_sets_the_order(store):
    def order(seed):
        return torch.cat([block["source"] for block in store.blocks(8, seed)]).tolist()

    assert order(1) == order(1) != order(2)
    assert order(None) == list(range(ROWS))
    before = torch.get_rng_state()
    order(1)
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_are_mixed_within_the_memory_and_shards_beyond_it(store):
    def firsts(memory):
        """Shards that the first rows of an epoch come from."""
        rows = torch.cat([b["source"] for b in store.blocks(5, shuffle_seed=0, memory=memory)])
        return set((rows[:10] // 10).tolist())

    assert len(firsts(1)) == 1
    assert len(firsts(10**9)) > 3


def test_few_shards_are_open_at_a_time(store, monkeypatch):
    open_now, most = set(), []
    original = store._reader.read

    def read(positions, shards):
        rows = original(positions, shards)
        open_now.clear()
        open_now.update(shards)
        most.append(len(open_now))
        return rows

    monkeypatch.setattr(store._reader, "read", read)
    list(store.blocks(8, shuffle_seed=0, memory=2 * store.manifest.shards[0].bytes))
    assert max(most) == 2


@pytest.mark.parametrize("seed", [None, 0])
def test_no_rows_give_no_blocks(store, seed):
    nothing = store.select([])
    assert list(nothing.blocks(4, seed)) == []
    assert len(nothing.read([])["source"]) == len(nothing) == 0


def test_a_batch_size_below_one(store):
    with pytest.raises(ValueError, match="`batch_size` must be at least 1; got 0"):
        next(store.blocks(0))


# -- parts ----------------------------------------------------------------------------------------


def test_parts_of_a_store(store, encoder):
    test = store.select(store.splits["test"])
    assert (len(test), test.source.tolist()) == (12, list(range(41, 53)))
    same(test.read([11, 0]), encoder.expected(torch.tensor([52, 41])))
    assert torch.equal(test.target, encoder.fields["target"][41:])
    assert torch.equal(test.available, encoder.fields["available"][41:])
    assert list(test.splits) == ["test"]
    nested = test.select(slice(1, 10)).select([True] + [False] * 7 + [True])
    assert nested.source.tolist() == [42, 50]
    shuffled = torch.cat([block["source"] for block in test.blocks(5, shuffle_seed=0)])
    assert sorted(shuffled.tolist()) == list(range(41, 53))
    with pytest.raises(IndexError):
        test.read(12)


def test_a_split_as_that_of_a_batch(store):
    train, validation, test = store.split(seed=0)
    assert sorted(test.source.tolist()) == list(range(41, 53))  # the official part
    assert not set(train.group.tolist()) & set(validation.group.tolist())
    assert len(train) + len(validation) + len(test) == ROWS


def test_copies_and_threads(store, encoder):
    for other in (copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        same(other.read(slice(7, 20)), encoder.expected(torch.arange(7, 20)))
    wrong = []

    def work(seed):
        for block in store.blocks(4, shuffle_seed=seed, memory=1):
            try:
                same(block, encoder.expected(block["source"]))
            except AssertionError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


# -- what was changed -----------------------------------------------------------------------------


def flip(path, position=-1):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_flipped_and_cut_shards_are_named(store):
    flip(store.folder / STEM.format(1), 700)
    flip(store.folder / STEM.format(4))
    both = (
        r"2 of 6 shards .*\n  shard-00001.*: its checksum differs.*\n  shard-00004.*: its checksum"
    )
    with pytest.raises(ValueError, match=both):
        LatentStore.open(store.folder)
    opened = LatentStore.open(store.folder, verify=False)
    with pytest.raises(ValueError, match="2 of 6 shards"):
        opened.verify()
    path = store.folder / STEM.format(2)
    path.write_bytes(path.read_bytes()[:-1])
    (store.folder / STEM.format(3)).unlink()
    with pytest.raises(ValueError, match=r"shard-00002.safetensors: it has \d+ bytes, expected are "
                       r"\d+ bytes\n  shard-00003.safetensors: it is not there"):  # fmt: skip
        LatentStore.open(store.folder, verify=False)


def test_foreign_and_exchanged_shards_are_named(store, tmp_path):
    first, second = (store.folder / STEM.format(i) for i in (0, 1))
    a, b = first.read_bytes(), second.read_bytes()
    first.write_bytes(b)
    second.write_bytes(a)
    with pytest.raises(
        ValueError, match=r"2 of 6 shards .*\n.*shard-00000.*\n.*shard-00001"
    ) as error:
        LatentStore.open(store.folder)
    assert "encode anew in a new folder" in str(error.value)


def test_a_shard_of_another_layout_is_refused_when_it_is_read(store, tmp_path):
    z = torch.randn(10, 7)
    other = LatentStore.create(
        tmp_path / "o", [range(10)], lambda rows: {"values": {"text": z}}, **QUIET
    )
    shard = (other.folder / STEM.format(0)).read_bytes()
    manifest = json.loads((store.folder / "manifest.json").read_text())
    path = store.folder / STEM.format(0)
    path.write_bytes(shard.ljust(manifest["shards"][0]["bytes"], b" "))
    opened = LatentStore.open(store.folder, verify=False)
    with pytest.raises(
        ValueError, match=r"shard-00000.safetensors (belongs to another|is no shard)"
    ):
        opened.read(0)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"digest": 1}', b"\xff\xfe", b"[" * 10**5]
)
def test_a_broken_manifest(store, data):
    (store.folder / "manifest.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"manifest.json (is no manifest|has version None)"):
        LatentStore.open(store.folder)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"version": 1', '"version": 2', "has version 2; this release reads 1"),
        ('"skipped": 0', '"skipped": 1', "was changed after it was written"),
        ("shard-00001", "../shard-01", "was changed after it was written"),
        ("\n  10,", "\n  10, ", "no change at all"),
    ],
)
def test_a_changed_manifest(store, old, new, why):
    path = store.folder / "manifest.json"
    path.write_text(path.read_text().replace(old, new, 1))
    if why == "no change at all":
        assert len(LatentStore.open(store.folder)) == ROWS
    else:
        with pytest.raises(ValueError, match=why):
            LatentStore.open(store.folder)


def test_a_manifest_never_leads_out_of_the_folder(store):
    from sure_pyro.data.store.manifest import _digest

    path = store.folder / "manifest.json"
    state = json.loads(path.read_text())
    state["shards"][0]["file"] = "../x.safetensors"
    del state["digest"]
    path.write_text(json.dumps(state | {"digest": _digest(state)}))
    with pytest.raises(ValueError, match=r"names files that are no shards: \['../x.safetensors'\]"):
        LatentStore.open(store.folder)


def test_no_store(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no store in .*: it has no manifest.json"
    ):
        LatentStore.open(tmp_path)


def test_a_fingerprint_changes_with_weights_and_settings():
    net = torch.nn.Linear(2, 3)
    same_net, other = copy.deepcopy(net), torch.nn.Linear(2, 3)
    assert fingerprint(net, a=1) == fingerprint(same_net, a=1)
    assert fingerprint(net)["encoder"] == "Linear"
    prints = [
        fingerprint(net),
        fingerprint(net, a=1),
        fingerprint(other),
        fingerprint(net.bfloat16()),
    ]
    assert len({json.dumps(p) for p in prints}) == 4


def test_blocks_of_rows():
    assert row_blocks(5, 2) == [[0, 1], [2, 3], [4]]
    assert row_blocks(0) == []
    shuffled = row_blocks(5, 2, seed=1)
    assert sorted(number for block in shuffled for number in block) == list(range(5))
    assert shuffled == row_blocks(5, 2, seed=1) != row_blocks(5, 2, seed=2)
