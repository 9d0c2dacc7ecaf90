"""The plan of the house: nothing imports in circles, not even inside a room or a function."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sure_pyro

ROOT = Path(sure_pyro.__file__).parent
FILES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
ALONE = {"propagation", "objectives", "metrics"}  # rooms that need nothing of ours but equations


def imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it, but for type checkers alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sure_pyro"):
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in FILES else str(node.module)
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("sure_pyro"))
        waiting += ast.iter_child_nodes(node)


def test_nothing_imports_in_circles():
    graph = {name: set(imported(path)) - {name} for name, path in FILES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(error.args[1][::-1]))


@pytest.mark.parametrize("room", sorted(ALONE))
def test_rooms_that_are_worth_installing_alone(room):
    files = [path for name, path in FILES.items() if name.split(".")[1:2] == [room]]
    assert files
    elsewhere = {
        name
        for path in files
        for name in imported(path)
        if name.split(".")[1:2] not in ([room], ["equations"])
    }
    assert not elsewhere
