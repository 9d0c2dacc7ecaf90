"""How big the package is: its lines, the code lines of its functions, the names that it exports.

    python -m benchmarks.sizes [--longest N] [FOLDER ...]

A code line of a function is a line from its ``def`` to its end that is neither blank nor only a
comment nor part of a docstring; what is nested in a function counts for both. A name that two
packages export counts once.
"""

from __future__ import annotations

import argparse
import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from pathlib import Path

SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def code_lines(source: str) -> set[int]:
    """Numbers of the lines that hold more than comments and blanks."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        number
        for token in tokens
        if token.type not in SKIPPED
        for number in range(token.start[0], token.end[0] + 1)
    }


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and code lines of every function of a file."""
    lines = code_lines(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own = set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            if ast.get_docstring(node) is not None:
                text = node.body[0]
                own -= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
            yield node.name, len(own & lines)


def exported(source: str) -> set[str]:
    """Names in the ``__all__`` of a package."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def offered(folder: Path) -> set[str]:
    """Names that the packages of a folder export; lazy ones list them in a stub."""
    stubs = list(folder.rglob("__init__.pyi"))
    whole = [p for p in folder.rglob("__init__.py") if p.with_suffix(".pyi") not in stubs]
    return {n for p in [*stubs, *whole] for n in exported(p.read_text(encoding="utf-8"))}


def main() -> None:
    """Print lines, median and 90th percentile of the functions' code lines, and exported names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[Path("sure_pyro")])
    parser.add_argument("--longest", type=int, default=0, help="functions to name")
    options = parser.parse_args()
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in options.folders
        for path in sorted(folder.rglob("*.py"))
    }
    found = [(n, path, name) for path, text in texts.items() for name, n in functions(text)]
    sizes = sorted(n for n, _, _ in found)
    print(
        f"{len(texts)} files, {sum(len(t.splitlines()) for t in texts.values())} lines; "
        f"{len(sizes)} functions, code lines: median {statistics.median(sizes):g}, "
        f"90th percentile {statistics.quantiles(sizes, n=10)[-1]:g}, longest {sizes[-1]}"
    )
    print(f"{sum(len(offered(folder)) for folder in options.folders)} exported names")
    for n, path, name in sorted(found, reverse=True)[: options.longest]:
        print(f"{n:4d}  {path}: {name}")


if __name__ == "__main__":
    main()
