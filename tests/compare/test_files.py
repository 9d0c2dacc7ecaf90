import pytest

from sure_pyro.compare.files import replacing, write_text


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
