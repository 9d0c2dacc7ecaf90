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
ALONE = {  # what a room that is worth installing alone may import beside itself
    "propagation": {"equations"},
    "objectives": {"equations"},
    "metrics": {"equations"},
    "calibration.arrays": {"equations", "metrics", "stored"},
}


def imported(path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, wherever in it, but for type checkers alone."""
    stub = path.with_suffix(".pyi")  # what a lazy room offers
    waiting: list[ast.AST] = [ast.parse((stub if stub.is_file() else path).read_text("utf-8"))]
    package = ".".join(path.parent.relative_to(ROOT.parent).parts)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.ImportFrom):
            module = ".".join([package] * node.level + [node.module or ""]).rstrip(".")
            for name in node.names if module.startswith("sure_pyro") else []:
                whole = f"{module}.{name.name}"
                yield whole if whole in FILES else module
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("sure_pyro"))
        waiting += ast.iter_child_nodes(node)


def test_what_draws_is_in_the_room_of_plots():
    drawing = {name for name, path in FILES.items() if "matplotlib" in roots(path)}
    assert drawing
    assert not {name for name in drawing if name.split(".")[1:2] != ["plots"]}


def roots(path: Path) -> set[str]:
    """Packages that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
    return found


def test_nothing_imports_in_circles():
    graph = {name: set(imported(path)) - {name} for name, path in FILES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(error.args[1][::-1]))


def within(name: str, room: str) -> bool:
    return f"{name}.".startswith(f"sure_pyro.{room}.")


@pytest.mark.parametrize("room", sorted(ALONE))
def test_rooms_that_are_worth_installing_alone(room):
    files = [path for name, path in FILES.items() if within(name, room)]
    assert files
    found = {name for path in files for name in imported(path)}
    assert not {n for n in found if not any(within(n, r) for r in (room, *ALONE[room]))}


def rooms_of_the_map() -> list[str]:
    """Folders and files directly under the package, in the order of the map in CONTRIBUTING."""
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = text.split("```\nsure_pyro/\n")[1].split("```")[0].splitlines()
    first = [line.split("  ", 2)[1] for line in listed if line[2] != " "]
    return [name.rstrip("/").removesuffix(".py") for line in first for name in line.split()]


def test_imports_point_upward_in_the_map():
    order = {room: place for place, room in enumerate(rooms_of_the_map())}
    assert {name.split(".")[1] for name in FILES if "." in name} - {"__main__"} == set(order)
    downward = {
        (name, other)
        for name, path in FILES.items()
        if name.count(".") and "__main__" not in name
        for other in imported(path)
        if other.count(".") and order[other.split(".")[1]] > order[name.split(".")[1]]
    }
    assert not downward
