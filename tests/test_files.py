"""Files appear whole or not at all, and no two writers share a temporary name."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sure_pyro
from sure_pyro import files
from sure_pyro.files import folder_replacing, replacing, write_text


def test_text_is_written_and_nothing_else_is_left(tmp_path):
    write_text(tmp_path / "a.txt", "R²")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "R²"
    assert len(list(tmp_path.iterdir())) == 1


def test_after_an_error_the_old_file_is_as_it_was(tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def fail():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_suffix_stays(tmp_path):
    with replacing(tmp_path / "a.nc") as temporary:
        assert temporary.suffix == ".nc"
        temporary.touch()


@pytest.mark.parametrize("names", [("a", "a"), ("lr0.001", "lr0.002"), ("a.ckpt", "a.tmp")])
def test_two_writers_never_share_a_temporary_name(tmp_path, names):
    first, second = (tmp_path / name for name in names)
    with replacing(first) as one, replacing(second) as two:
        assert one != two
        assert not {one, two} & {first, second}
        one.write_text("one")
        two.write_text("two")
    assert second.read_text() == ("one" if first == second else "two")  # the last to end
    assert {p.name for p in tmp_path.iterdir()} == set(names)


def test_a_reader_never_sees_half_of_a_file_that_many_write(tmp_path):
    path, texts = tmp_path / "a.txt", [letter * 200_000 for letter in "abcd"]
    write_text(path, texts[0])
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write_text, path, text) for text in texts * 10]
        while not all(w.done() for w in writing):
            assert path.read_text() in texts
        for w in writing:
            w.result()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_long_name_is_no_hindrance(tmp_path):
    path = tmp_path / ("\u00e4" * 125 + ".nc")  # 253 bytes of the 255 that a name may have
    write_text(path, "whole")
    assert path.read_text() == "whole"


def test_a_file_keeps_the_rights_that_new_files_get(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    def write(text, error=None):
        with folder_replacing(tmp_path / "model") as folder:
            (folder / f"{text}.txt").write_text(text)
            if error:
                raise error

    write("old")
    with pytest.raises(OSError, match="disk full"):
        write("half", OSError("disk full"))
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["old.txt"]
    write("new")
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["new.txt"]
    assert len(list(tmp_path.iterdir())) == 1


def test_nothing_else_in_the_library_makes_up_temporary_names():
    root = Path(sure_pyro.__file__).parent
    own = re.compile(r"with_(name|suffix)\([^)]*tmp|mkstemp|NamedTemporaryFile|getpid")
    found = [p for p in root.rglob("*.py") if p != root / "files.py" and own.search(p.read_text())]
    assert not found, f"use sure_pyro.files in {found}"


@pytest.mark.parametrize("durable", [False, True])
def test_what_goes_to_the_disk_is_put_there_before_it_gets_its_name(tmp_path, monkeypatch, durable):
    put = []
    monkeypatch.setattr(files, "sync", put.append)
    with replacing(tmp_path / "a.bin", durable=durable) as temporary:
        temporary.write_bytes(b"x")
    assert put == ([temporary, tmp_path] if durable else [])
    files.sync(tmp_path / "a.bin")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent to write a\.txt into"):
        write_text(tmp_path / "absent" / "a.txt", "")
