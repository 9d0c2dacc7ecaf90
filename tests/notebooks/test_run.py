"""The script that runs the notebooks: what it keeps, what it leaves out, and when it fails."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def script():
    spec = importlib.util.spec_from_file_location("notebooks_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def execute(*sources, small="0"):
    """Run the script as `make notebooks` does."""
    return subprocess.run(
        [sys.executable, FOLDER / "run.py", *sources],
        env={**os.environ, "SURE_PYRO_SMALL": small},
        capture_output=True,
        text=True,
        timeout=120,
    )


def write_source(path, *cells):
    path.write_text("# %% [markdown]\n# A title\n" + "".join(f"\n# %%\n{cell}\n" for cell in cells))
    return path


# -- what is kept ---------------------------------------------------------------------------------


def test_an_executed_notebook_is_written_beside_its_source(tmp_path):
    source = write_source(tmp_path / "01_a.py", "x = 2", "x + 2")
    result = execute(source)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("01_a.py: passed, written, ")
    assert result.stdout.count("\n") == 1, "one line per notebook"
    notebook = nbformat.read(tmp_path / "01_a.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == [
        "# A title".removeprefix("# "),
        "x = 2",
        "x + 2",
    ]
    assert notebook.cells[2].outputs[0].data["text/plain"] == "4"


def test_running_again_gives_the_same_bytes(tmp_path):
    cell = "import tqdm, warnings\nwarnings.warn('here')\nlist(tqdm.tqdm(range(3)))\nobject()"
    source = write_source(tmp_path / "01_a.py", cell, "print('a')\nprint('b')")
    kept = []
    for _ in range(2):
        assert execute(source).returncode == 0
        kept.append((tmp_path / "01_a.ipynb").read_bytes())
    assert kept[0] == kept[1]
    assert str(tmp_path).encode() not in kept[0]


def test_small_settings_reach_the_notebook_and_write_nothing(tmp_path):
    source = write_source(
        tmp_path / "01_a.py", "import os\nassert os.environ['SURE_PYRO_SMALL'] == '1'"
    )
    result = execute(source, small="1")
    assert result.returncode == 0, result.stderr
    assert "small settings, nothing written" in result.stdout
    assert not (tmp_path / "01_a.ipynb").exists()


# -- failures -------------------------------------------------------------------------------------


def test_a_failing_cell_fails_the_run_and_leaves_the_old_notebook(tmp_path):
    bad = write_source(tmp_path / "01_bad.py", "assert 1 + 1 == 3, 'the claim of the prose'")
    good = write_source(tmp_path / "02_good.py", "1 + 1")
    (tmp_path / "01_bad.ipynb").write_text("what was there")
    result = execute(bad, good)
    assert result.returncode == 1
    assert "01_bad.py: FAILED" in result.stderr
    assert "AssertionError: the claim of the prose" in result.stderr
    assert "\x1b[" not in result.stderr
    assert (tmp_path / "01_bad.ipynb").read_text() == "what was there"
    assert "02_good.py: passed" in result.stdout, "the others are run all the same"


# -- what is left out -----------------------------------------------------------------------------


def test_stderr_widgets_addresses_and_metadata_are_left_out():
    module = script()
    outputs = [
        new_output("stream", name="stderr", text="/home/me/a.py:3: UserWarning: no"),
        new_output("display_data", {module.WIDGETS: {"model_id": "7"}}),
        new_output("stream", name="stdout", text="<A at 0x7f00deadbeef>\n"),
        new_output("execute_result", {"text/plain": "<B at 0x7f00>", "image/png": "at 0x12"}),
    ]
    cell = new_code_cell("run()", outputs=outputs, metadata={"execution": {"time": "12:00"}})
    kept = module.normalised(new_notebook(cells=[cell], metadata={"widgets": {}, "me": "here"}))
    stdout, result = kept.cells[0].outputs
    assert stdout.text == "<A>\n"
    assert result.data == {"text/plain": "<B>", "image/png": "at 0x12"}, "pictures are not text"
    assert kept.cells[0].metadata == {}
    assert set(kept.metadata) == {"jupytext", "kernelspec", "language_info"}


def test_cells_are_named_by_what_they_say():
    module = script()
    first = module.normalised(new_notebook(cells=[new_code_cell("a"), new_code_cell("a")]))
    later = module.normalised(
        new_notebook(cells=[new_markdown_cell("new"), new_code_cell("a"), new_code_cell("a")])
    )
    assert [c.id for c in later.cells[1:]] == [c.id for c in first.cells]
    assert len({c.id for c in later.cells}) == 3


# -- the notebooks of the project -----------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_kept_notebook_is_of_the_present_source(source):
    kept = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    wanted = jupytext.read(source)
    assert [(c.cell_type, c.source) for c in kept.cells] == [
        (c.cell_type, c.source) for c in wanted.cells
    ], f"run `make notebooks`: {source.name} was changed after it was last executed"
