"""Run the notebooks from their sources, and keep what they showed.

A notebook is written as text, ``NN_name.py`` in jupytext's percent format; ``NN_name.ipynb`` beside
it is the same notebook with its outputs. This script executes every source in a fresh kernel and
writes the executed notebook, but only if no cell failed. What differs from run to run without
saying anything (times, names of cells, addresses of objects, progress bars) is left out, so that a
difference in the file is a difference in what the notebook shows.

::

    python notebooks/run.py                        # all of them
    python notebooks/run.py notebooks/01_x.py      # some of them
    SURE_PYRO_SMALL=1 python notebooks/run.py      # small settings, as a check: nothing is written
"""

import hashlib
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, write

from sure_pyro.files import replacing

FOLDER = Path(__file__).resolve().parent
SMALL = "SURE_PYRO_SMALL"
TIMEOUT = 900  # seconds for one cell
WIDGETS = "application/vnd.jupyter.widget-view+json"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def main(arguments: list[str]) -> int:
    """Run the named sources, or all beside this file; exit status 1 if any of them failed."""
    sources = [Path(a) for a in arguments] or sorted(FOLDER.glob("[0-9][0-9]_*.py"))
    passed = [run(source) for source in sources]  # a failure does not keep the others from running
    return 0 if all(passed) else 1


def run(source: Path) -> bool:
    """Execute one source, write its notebook, say in one line how it went."""
    start = time.perf_counter()
    notebook = jupytext.read(source)
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # how a text was cut into pieces depends on the moment
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(source.parent)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"{source.name}: FAILED\n{ANSI.sub('', str(error))}", file=sys.stderr, flush=True)
        return False
    small = bool(int(os.environ.get(SMALL, "0")))
    if not small:
        keep(normalised(notebook), source.with_suffix(".ipynb"))
    how = "passed on small settings, nothing written" if small else "passed, written"
    print(f"{source.name}: {how}, {time.perf_counter() - start:.0f} s", flush=True)
    return True


def keep(notebook: NotebookNode, path: Path) -> None:
    """Write whole or not at all."""
    with replacing(path) as temporary:
        write(notebook, temporary)


def normalised(notebook: NotebookNode) -> NotebookNode:
    """Leave out of an executed notebook what changes without a reason (in place)."""
    notebook.metadata = NotebookNode(
        jupytext={"formats": "ipynb,py:percent"},
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        cell.id = _id(cell.source, seen)
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [_steady(output) for output in cell.outputs if _says_something(output)]
    return notebook


def _id(source: str, seen: Counter[str]) -> str:
    """Name a cell by what it says, so that a new cell does not rename those after it."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _says_something(output: NotebookNode) -> bool:
    """Not a progress bar, and not what goes to stderr: warnings name files of this machine."""
    return output.get("name") != "stderr" and WIDGETS not in output.get("data", {})


def _steady(output: NotebookNode) -> NotebookNode:
    """Text without the addresses of objects, and no metadata."""
    if output.output_type == "stream":
        output.text = ADDRESS.sub("", output.text)
    for kind, value in output.get("data", {}).items():
        if kind.startswith("text/"):
            output.data[kind] = ADDRESS.sub("", value)
    if "metadata" in output:
        output.metadata = NotebookNode()
    return output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
