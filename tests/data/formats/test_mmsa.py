"""MMSA feature pickles: what is taken out of them, and that nothing that stands in them runs."""

import io
import os
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sure_pyro.data.formats import DatasetError, convert_mmsa, read_mmsa, unpickle
from tests.data.formats.small import mmsa_data


def dump(path, data, protocol=4):
    path.write_bytes(pickle.dumps(data, protocol))
    return path


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Folder of a converted file."""
    folder = tmp_path_factory.mktemp("mmsa")
    convert_mmsa(dump(folder / "unaligned_50.pkl", mmsa_data()), folder / "converted")
    return folder / "converted"


def refused(source, **options):
    """Why a file is not converted; nothing is left beside it."""
    target = source.parent / "target"
    with pytest.raises(DatasetError) as error:
        convert_mmsa(source, target, **options)
    assert sorted(path.name for path in source.parent.iterdir()) == [source.name]
    return str(error.value)


# -- what is taken out of them --------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_gives_the_same_arrays(tmp_path, protocol):
    data = mmsa_data()
    source = dump(tmp_path / "x.pkl", data, protocol)
    assert convert_mmsa(source, tmp_path / "to") == {
        "rows": {"train": 4, "valid": 2, "test": 3},
        "ignored": [],
        "minus_infinity": 0,
    }
    arrays = read_mmsa(tmp_path / "to").channels["text"].arrays
    for part, fields in data.items():
        for name in ("text", "audio", "vision", "text_bert", "regression_labels", "audio_lengths"):
            expected = torch.tensor(np.asarray(fields[name], np.float32))
            assert torch.equal(arrays.get(part, name), expected)


def test_rows_of_the_dataset(converted):
    data, original = read_mmsa(converted), mmsa_data()
    assert (len(data), data.modalities, data.task) == (9, ("text", "audio", "vision"), "regression")
    assert data.ids[:2] == ("train0$_$0", "train0$_$1")
    assert data.group.tolist() == [
        2,
        2,
        3,
        3,
        4,
        4,
        0,
        0,
        1,
    ]  # test0, test1, train0, train1, valid0
    assert {n: int(m.sum()) for n, m in data.splits.items()} == {
        "train": 4,
        "validation": 2,
        "test": 3,
    }
    labels = np.concatenate([original[p]["regression_labels"] for p in ("train", "valid", "test")])
    torch.testing.assert_close(data.target, torch.tensor(labels, dtype=torch.float32))
    row = data[5]
    length = original["valid"]["audio_lengths"][1]
    expected = torch.tensor(original["valid"]["audio"][1, :length], dtype=torch.float32)
    torch.testing.assert_close(row.values["audio"], expected)
    assert len(row.values["text"]) == original["valid"]["text_bert"][1, 1].sum()


def test_a_batch_for_the_encoders(converted):
    data, original = read_mmsa(converted), mmsa_data()["train"]
    batch = data.to_batch(data[:4])
    assert batch.features["audio"].shape == (4, 9, 3)
    assert batch.padding["audio"].sum(1).tolist() == original["audio_lengths"]
    assert batch.padding["vision"].sum(1).tolist() == original["vision_lengths"]
    assert batch.padding["text"].sum(1).tolist() == original["text_bert"][:, 1].sum(1).tolist()
    assert batch.test.tolist() == [False] * 4


def test_tokens_for_a_text_encoder(converted):
    data, original = read_mmsa(converted, text="text_bert"), mmsa_data()["train"]["text_bert"]
    tokens = data.to_batch(data[:4]).features["text"]
    for i, name in enumerate(("input_ids", "attention_mask", "token_type_ids")):
        assert tokens[name].long().tolist() == original[:, i].astype(int).tolist()


def test_aligned_files_have_no_lengths(tmp_path):
    data = mmsa_data()
    for fields in data.values():
        for name in ("audio_lengths", "vision_lengths", "text_bert"):
            del fields[name]
    convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    rows = read_mmsa(tmp_path / "to")
    assert [len(rows[0].values[n]) for n in rows.modalities] == [6, 9, 8]


def test_labels_by_modality(tmp_path):
    data = mmsa_data()
    for fields in data.values():
        fields["regression_labels_T"] = fields["regression_labels"] / 2
    convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    y = read_mmsa(tmp_path / "to", labels=("regression_labels", "regression_labels_T")).target
    torch.testing.assert_close(y[:, 1], y[:, 0] / 2)


def test_silence_and_what_is_not_known_are_told(tmp_path):
    data = mmsa_data()
    data["train"]["audio"][1, :2, 0] = -np.inf
    data["train"]["my_key\n"] = [1]
    said = convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    assert (said["minus_infinity"], said["ignored"]) == (2, ["my_key\\n"])
    data = read_mmsa(tmp_path / "to")
    assert (data.channels["audio"].arrays.get("train", "audio")[1, :2, 0] == 0).all()


def test_other_forms_of_the_same(tmp_path):
    data = mmsa_data()
    train = data["train"]
    train["text"] = np.asfortranarray(train["text"])
    train["vision"] = train["vision"].astype(">f8")
    train["audio_lengths"] = [np.int64(n) for n in train["audio_lengths"]]
    train["id"] = np.array(train["id"])  # fixed width
    train["raw_text"] = train["raw_text"].tolist()
    train["regression_labels"] = train["regression_labels"][:, None]
    convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    convert_mmsa(dump(tmp_path / "y.pkl", mmsa_data()), tmp_path / "plain")
    rows, plain = read_mmsa(tmp_path / "to"), read_mmsa(tmp_path / "plain")
    assert rows.ids == plain.ids
    for a, b in zip(rows, plain, strict=True):
        for name in rows.modalities:
            torch.testing.assert_close(a.values[name], b.values[name])


# -- nothing runs ---------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def opcodes(module, name, argument, opcode=b"R"):
    """A call written by hand, for functions that pickle would not write so."""
    call = f"c{module}\n{name}\n".encode() + b"(" + b"X" + struct.pack("<I", len(argument))
    return b"\x80\x02" + call + argument.encode() + b"t" + opcode + b"."


def hostile(mark):
    """Pickles that make a file, if anything of them is run."""
    touch, python = f"touch {mark}", f"open({str(mark)!r}, 'w')"
    yield "os.system", pickle.dumps(Calls(os.system, touch))
    yield "builtins.exec", pickle.dumps(Calls(exec, python))
    yield "builtins.eval", pickle.dumps(Calls(eval, python), 0)
    yield "builtins.open", pickle.dumps(Calls(open, str(mark), "w"))
    yield "subprocess", pickle.dumps(Calls(subprocess.Popen, ["touch", str(mark)]))
    yield "pathlib", pickle.dumps(Calls(Path.touch, mark))
    yield "getattr", pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system"))
    yield "in a list of ids", pickle.dumps({"train": {"id": [Calls(os.system, touch)]}})
    yield "as a key", pickle.dumps({Calls(os.system, touch): 1})
    yield (
        "as the shape of an array",
        pickle.dumps(Calls(np._core.multiarray._reconstruct, Calls(os.system, touch), (0,), b"b")),
    )
    for module, name in [
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "exec"),
        ("__builtin__", "eval"), ("numpy", "os.system"), ("numpy.core.multiarray", "os.system"),
        ("numpy", "load"), ("numpy", "ndarray.tofile"), ("numpy.testing", "runstring"),
        ("numpy.f2py.crackfortran", "myeval"), ("numpy", "memmap"), ("numpy", "fromfile"),
        ("_codecs", "lookup"), ("_codecs", "decode"), ("pickle", "loads"), ("pty", "spawn"),
        ("runpy", "run_path"), ("importlib", "import_module"), ("torch", "load"),
        ("sure_pyro.data.formats.unpickle", "main"), ("__main__", "main"), ("sys", "exit"),
        ("numpy._core.multiarray", "__class__"), ("numpy", "dtype.__class__"), ("numpy", ""),
    ]:  # fmt: skip
        for opcode in (b"R", b"\x81"):
            yield f"{module}.{name} {opcode}", opcodes(module, name, touch, opcode)
    yield "instance", b"(X\x08\0\0\0touch x!ios\nsystem\n."
    yield "object", b"(cos\nsystem\nX\x08\0\0\0touch x!o."
    yield "extension", b"\x80\x02\x82\x01."
    yield "persistent", b"\x80\x02X\x01\0\0\0xQ."


def test_a_hostile_pickle_runs_nothing(tmp_path):
    mark = tmp_path / "mark"
    count = 0
    for name, data in hostile(mark):
        count += 1
        with pytest.raises((unpickle.RefusedError, pickle.UnpicklingError, ValueError)):
            unpickle.ClosedUnpickler(io.BytesIO(data)).load()
        assert not mark.exists(), name
    assert count > 60


@pytest.mark.parametrize("which", ["os.system", "in a list of ids", "as the shape of an array"])
def test_a_hostile_file_is_refused(tmp_path, which):
    (tmp_path / "folder").mkdir()
    source, mark = tmp_path / "folder" / "x.pkl", tmp_path / "mark"
    source.write_bytes(dict(hostile(mark))[which])
    text = refused(source)
    assert "x.pkl: it asks for 'posix.system', which is no part of an array" in text
    assert "ask for the processed features" in text
    assert not mark.exists()


def test_these_pickles_would_run_elsewhere(tmp_path):
    """The test above can fail: with the ordinary unpickler the file is made."""
    mark = tmp_path / "mark"
    pickle.loads(dict(hostile(mark))["os.system"])
    assert mark.exists()


def build(name, state):
    """A stand-in of this reader, and a state that is set on it."""
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n".encode() + state + b"b."


@pytest.mark.parametrize("name", [".".join(key) for key in unpickle.KNOWN])
def test_stand_ins_can_not_be_changed(name):
    before = {key: type(value).__call__ for key, value in unpickle.KNOWN.items() if callable(value)}
    text = b"X\x01\0\0\0x"
    for state in (b"}" + text + text + b"s", b"N}" + text + text + b"s\x86", b"(" + text + b"t"):
        with pytest.raises(
            (AttributeError, unpickle.RefusedError, pickle.UnpicklingError, TypeError)
        ):
            unpickle.ClosedUnpickler(io.BytesIO(build(name, state))).load()
    assert before == {k: type(v).__call__ for k, v in unpickle.KNOWN.items() if callable(v)}


# -- nothing gets large or long -------------------------------------------------------------------

BOMBS = {
    "a huge memo": b"\x80\x02]r\xff\xff\xff\xff.",
    "a huge claim": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "a claim of 40 GB": b"\x80\x04\x8e" + struct.pack("<Q", 40 * 10**9) + b".",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b".",
    "a deep key": b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"Ns.",
    "a deep list": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "doubled tuples": b"\x80\x02)" + b"2\x86" * 200 + b".",
    "a key of doubled tuples": b"\x80\x02}" + b")" + b"2\x86" * 200 + b"Ns.",
    "a long number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\xff" * 100 + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end(tmp_path, name):
    source = tmp_path / "x.pkl"
    source.write_bytes(BOMBS[name])
    text = refused(source, seconds=1)
    assert re.search(
        "can not be read|it needs more memory|must be a dictionary|ended with status", text
    )


def test_a_file_beyond_its_limit(tmp_path):
    source = dump(tmp_path / "x.pkl", {"train": {"x": np.zeros(10**8, np.int8)}})
    assert "x.pkl: it needs more memory than it may use (at most 0.1 GB" in refused(
        source, memory=130 * 10**6
    )


def test_the_process_has_limits(tmp_path, monkeypatch):
    """What the child may use, asked of itself."""
    script = tmp_path / "ask.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(Path(unpickle.__file__).parent)!r})\n"
        "import unpickle, resource, subprocess\n"
        "unpickle.limit(10**9, 5)\n"
        "names = ('AS', 'CPU', 'FSIZE', 'CORE', 'NPROC')\n"
        "print([resource.getrlimit(getattr(resource, f'RLIMIT_{n}'))[0] for n in names])\n"
    )
    out = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    ).stdout
    assert out == "[1000000000, 5, 1000000000, 0, 0]\n"


# -- what is wrong with them ----------------------------------------------------------------------


def changed(**changes):
    data = mmsa_data()
    for key, value in changes.items():
        if value is ...:
            del data["train"][key]
        else:
            data["train"][key] = value
    return data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([1], "it must be a dictionary with"),
        ({"dev": {}}, r"it must be a dictionary with \('train', 'valid', 'test'\)"),
        ({"train": [1]}, "'train' must be a dictionary with names"),
        ({"train": {1: 2}}, "'train' must be a dictionary with names"),
        ({"train": {"id": ["a"]}}, r"must have the same number of rows; got \{\}"),
        (changed(id=...), "'train' has no 'id'"),
        (changed(id=["a"]), r"'train' has 4 rows, but of texts \{'id': 1\}"),
        (changed(id=[[1]] * 4), "train/id must hold texts or numbers; got list"),
        (changed(id="abcd"), "train/id must be an array; got str"),
        (changed(raw_text=["x" * 10**6] * 4), "train/raw_text must hold texts or numbers"),
        (changed(raw_text=[b"\xff"] * 4), "UnicodeDecodeError"),
        (changed(text=np.zeros((3, 6, 4))), "arrays of 'train' must have the same number of rows"),
        (changed(text=np.zeros((4, 6))), r"text must have three dimensions; got shape \(4, 6\)"),
        (changed(text=np.zeros((4, 0, 4))), "train/text must have three dimensions"),
        (changed(text=np.zeros((4, 6, 4), complex)), "train/text has no dtype of numbers"),
        (changed(text=np.zeros((4, 6, 4), [("a", "f4")])), "train/text has no dtype of numbers"),
        (changed(text=np.zeros((4, 6, 4), "M8[s]")), "train/text has no dtype of numbers or texts"),
        (changed(text=np.array([[["x"]]] * 4)), "train/text must hold numbers; got <U1"),
        (changed(text=np.array([{}] * 4)), "train/text must hold texts or numbers; got dict"),
        (changed(text=None), "train/text must be an array; got NoneType"),
        (changed(regression_labels=np.zeros((4, 2))), "must have one number a row"),
        (changed(audio_lengths=[1, 2, 3, "x"]), "audio_lengths must hold texts or numbers; got"),
        (changed(audio_lengths=[1, 2, 3, 10**30]), "holds a number that is too large"),
        (changed(text_bert={"a": 1}), "train/text_bert must be an array; got dict"),
    ],
)  # fmt: skip
def test_what_has_another_form(tmp_path, data, why):
    text = refused(dump(tmp_path / "x.pkl", data))
    assert re.search(f"x.pkl: .*{why}", text), text


def array_with(shape, data, dtype="f4", order="<"):
    """An array of which shape, dtype and bytes are said apart."""

    class Reduced:
        def __reduce__(self):
            kind = np.dtype("f4") if dtype == "f4" else dtype
            make = np._core.multiarray._reconstruct
            return make, (np.ndarray, (0,), b"b"), (1, shape, kind, False, data)

    return Reduced()


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (array_with((4, 6, 4), b""), r"another number of bytes than its shape \(4, 6, 4\) needs"),
        (array_with((4, 6, 4), bytes(383)), "another number of bytes"),
        (array_with((2**39, 2**39, 2**39), bytes(8)), "another number of bytes"),
        (array_with((2**70,), bytes(8)), "has a shape that can not be"),
        (array_with((-4, -6, 4), bytes(384)), "has a shape that can not be"),
        (array_with((4, 6, True), bytes(96)), "has a shape that can not be"),
        (array_with([4, 6, 4], bytes(384)), "has no shape of at most four dimensions"),
        (array_with((4,) * 30, bytes(384)), "has no shape of at most four dimensions"),
        (array_with((4, 6, 4), ["x"] * 96), "another number of bytes"),
        (array_with((4, 6, 4), bytes(384), dtype="f4"), None),
        (array_with((4, 6, 4), bytes(384), dtype=b"f4"), "has no dtype of numbers or texts"),
        (array_with((4, 6, 4), bytes(384), dtype=None), "has no dtype of numbers or texts"),
    ],
)  # fmt: skip
def test_arrays_that_can_not_be(tmp_path, array, why):
    source = dump(tmp_path / "x.pkl", changed(text=array))
    if why is None:
        assert convert_mmsa(source, tmp_path / "target")["rows"]["train"] == 4
    else:
        assert re.search(why, refused(source))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is empty"),
        (b"\0" * 100, "it can not be read: UnpicklingError"),
        (pickle.dumps(mmsa_data())[:-500], "it can not be read"),
        (pickle.dumps(mmsa_data())[:1000], "it can not be read"),
        (b"\x80\xffN.", "it can not be read: ValueError: unsupported pickle protocol"),
        (b"PK\x03\x04", "it can not be read"),
        (b"id,text\n1,x\n", "it can not be read"),
    ],
)  # fmt: skip
def test_what_is_no_pickle(tmp_path, data, why):
    (tmp_path / "x.pkl").write_bytes(data)
    assert re.search(f"x.pkl: .*{why}", refused(tmp_path / "x.pkl"))


def test_files_that_are_not_there_or_in_the_way(tmp_path, converted):
    with pytest.raises(DatasetError, match=r"x.pkl: there is no such file"):
        convert_mmsa(tmp_path / "x.pkl", tmp_path / "to")
    (tmp_path / "y.pkl").symlink_to(converted / "rows.json")
    with pytest.raises(DatasetError, match=r"y.pkl: it is a symbolic link"):
        convert_mmsa(tmp_path / "y.pkl", tmp_path / "to")
    (tmp_path / "to").mkdir()
    with pytest.raises(FileExistsError, match="to is there already: name a new folder"):
        convert_mmsa(dump(tmp_path / "z.pkl", mmsa_data()), tmp_path / "to")


# -- what is wrong with what they were turned into ------------------------------------------------


@pytest.fixture
def spoilt(tmp_path):
    """Convert changed data, and give the message with which its rows are refused."""

    def read(data, **options):
        convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
        with pytest.raises(DatasetError) as error:
            read_mmsa(tmp_path / "to", **options).check()
        return str(error.value)

    return read


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"regression_labels": np.array([0, np.nan, np.inf, 0])},
            r"2 problems.*\n  train/train0\$_\$1, line 1: label is NaN or infinite",
        ),
        ({"id": ["a", "b", "a", "c"]}, "train/a, line 2: id 'a' stands twice"),
        ({"vision": np.full((4, 8, 2), np.nan)}, "train, line 0: train/vision: row 0 holds NaN"),
        ({"audio": np.full((4, 9, 3), np.inf)}, "train/audio: row 0 holds NaN or infinity"),
        ({"audio_lengths": [1, 2, 3, 10]}, "row 3 has length 10; there are 9 tokens"),
        ({"audio_lengths": [1, 2, 3, -1]}, "row 3 has length -1"),
        ({"audio_lengths": [1, 2, 3, 0.5]}, "row 3 has length 0.5"),
        ({"regression_labels": ...}, "train.regression_labels.safetensors: there is no such file"),
        ({"vision": ...}, "train.vision.safetensors: there is no such file"),
    ],
)
def test_rows_that_can_not_be_read(spoilt, changes, why):
    assert re.search(why, spoilt(changed(**changes)))


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, 2**30])
def test_tokens_that_are_none(spoilt, value):
    tokens = mmsa_data()["train"]["text_bert"]
    tokens[0, 0, 0] = value
    assert "train/text_bert: row 0 holds no tokens" in spoilt(
        changed(text_bert=tokens), text="text_bert"
    )


def test_rows_are_skipped_on_request(tmp_path):
    data = changed(regression_labels=np.array([0, np.nan, 1, 2]), audio_lengths=[1, 2, 30, 0])
    convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    rows = read_mmsa(tmp_path / "to", on_error="skip")
    assert (len(rows), rows.skipped) == (8, 1)
    decoded = rows[:]
    assert (len(decoded), rows.skipped) == (7, 2)
    assert decoded[1].values["audio"] is None  # of length zero: absent


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "rows.json: it is empty"),
        (b"[]", "rows.json: it is no index of version 1"),
        (b'{"version": 2}', "rows.json: it is no index of version 1"),
        (b'{"version": 1, "splits": {"dev": {}}}', "its parts must be"),
        (b'{"version": 1, "splits": {"train": {"id": [1]}}}', "part 'train' has no ids"),
        (
            b'{"version": 1, "splits": {"train": {"id": ["a"]}}}',
            "part 'train' has 1 ids, but text of shape",
        ),
        (b'{"version": 1, "splits": {}}', "no row can be read"),
        (b"{", "rows.json: it is no JSON"),
        (b"\xff", "rows.json: .*"),
    ],
)
def test_a_broken_index(tmp_path, data, why):
    convert_mmsa(dump(tmp_path / "x.pkl", mmsa_data()), tmp_path / "to")
    (tmp_path / "to" / "rows.json").write_bytes(data)
    with pytest.raises(DatasetError, match=why):
        read_mmsa(tmp_path / "to")


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_a_broken_array(tmp_path, cut):
    convert_mmsa(dump(tmp_path / "x.pkl", mmsa_data()), tmp_path / "to")
    path = tmp_path / "to" / "train.audio.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DatasetError, match=r"train.audio.safetensors"):
        read_mmsa(tmp_path / "to")


@pytest.mark.parametrize(
    ("name", "other", "why"),
    [
        ("text_bert", "valid", r"'train' has 4 ids, but text_bert of shape \(2, 3, 6\)"),
        ("audio_lengths", "valid", r"'train' has 4 ids, but audio_lengths of shape \(2,\)"),
        ("regression_labels", "test", r"'train' has 4 ids, but regression_labels of shape \(3,\)"),
    ],
)
def test_arrays_of_another_part(tmp_path, name, other, why):
    folder = tmp_path / "to"
    convert_mmsa(dump(tmp_path / "x.pkl", mmsa_data()), folder)
    (folder / f"{other}.{name}.safetensors").replace(folder / f"train.{name}.safetensors")
    with pytest.raises(DatasetError, match=why):
        read_mmsa(folder)


def test_features_whose_width_differs_between_parts(tmp_path):
    data = mmsa_data()
    data["test"]["audio"] = data["test"]["audio"][:, :, :2]
    convert_mmsa(dump(tmp_path / "x.pkl", data), tmp_path / "to")
    with pytest.raises(DatasetError, match=r"'test' has audio of shape \(3, 9, 2\), expected is "
                       r"\(3, 9, 3\): as in the other parts"):  # fmt: skip
        read_mmsa(tmp_path / "to")


def test_an_array_by_a_link_that_leads_nowhere_is_not_taken_for_absent(tmp_path):
    folder = tmp_path / "to"
    convert_mmsa(dump(tmp_path / "x.pkl", mmsa_data()), folder)
    (folder / "train.audio_lengths.safetensors").unlink()
    (folder / "train.audio_lengths.safetensors").symlink_to("nowhere")
    with pytest.raises(DatasetError, match=r"train.audio_lengths.safetensors: there is no such"):
        read_mmsa(folder)


def test_choices(converted):
    with pytest.raises(ValueError, match="`text` must be 'text' or 'text_bert'; got 'bert'"):
        read_mmsa(converted, text="bert")
    with pytest.raises(ValueError, match="`on_error` must be"):
        read_mmsa(converted, on_error="no")
