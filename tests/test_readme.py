"""What the pages say, run: Python blocks, doctests, names in the table of symbols, links.

Trainings are cut to a few epochs here: whether an example runs is tested, not how well it learns.
"""

import ast
import doctest
import importlib
import re
from dataclasses import replace
from functools import reduce
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import pytest

import sure_pyro
from sure_pyro import load

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(sure_pyro.__file__).parent
DOCS = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md"))
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *DOCS]


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Two epochs of every phase on the first digits, in an empty directory."""
    monkeypatch.setattr(sure_pyro, "load", lambda name: load(name)[:500])
    defaults = importlib.import_module("sure_pyro.training.plan").DEFAULTS
    for phase, settings in defaults.items():
        monkeypatch.setitem(defaults, phase, replace(settings, epochs=2))
    monkeypatch.chdir(tmp_path)
    with matplotlib.rc_context({"backend": "agg"}):
        yield


# -- the README -----------------------------------------------------------------------------------


def python_blocks(page):
    text = (ROOT / page).read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def run_blocks(page):
    """Run the Python blocks of a page one after the other, as a reader would paste them."""
    names = {"__name__": "readme"}
    for number, block in enumerate(python_blocks(page)):
        exec(compile(block, f"{page}, Python block {number + 1}", "exec"), names)
    return names


def test_python_blocks_of_the_readme_run_and_say_what_they_claim(small, capsys):
    names = run_blocks("README.md")
    prediction, test = names["prediction"], names["test"]
    assert set(prediction.variance) == {"text", "head"}
    assert prediction.probabilities["taylor"].shape == (len(test), 3)
    assert {"elbo", "rho/y"} == set(names["objective"].terms)
    shown = capsys.readouterr().out
    assert "Taylor against 1000 draws" in shown
    assert "verdict" in shown


def test_python_blocks_of_the_architecture_page_run(small, capsys):
    names = run_blocks("docs/architecture.md")
    assert names["batch"].available.sum(1).tolist() == [2] * 100
    assert set(names["variance"]) == set(names["batch"].modalities)
    assert "Taylor against 1000 draws" in capsys.readouterr().out


def test_python_blocks_of_the_objectives_page_run(small):
    assert set(run_blocks("docs/objectives.md")["elbo"].terms) == {"elbo", "rho/y"}


def test_python_blocks_of_the_backbones_page_run(small):
    names = run_blocks("docs/backbones.md")
    assert set(names["prediction"].variance) == {"image", "text", "head"}
    assert len(names["test"]) == 24


def test_python_blocks_of_the_guides_page_run(small):
    names = run_blocks("docs/guides.md")
    assert (names["prediction"].variance["weights"] > 0).all()
    assert names["guide"].covariance().shape == (4, 4)


def test_python_blocks_of_the_calibration_page_run(small, capsys):
    names = run_blocks("docs/calibration.md")
    before, after = (names[name].predict(names["gappy"]) for name in ("calibrated", "same"))
    assert before.total.equal(after.total)
    assert names["prediction"].seen.all()
    assert {str(reason).split(":")[0] for reason in names["decisions"].reason} == {
        "accepted",
        "deferred",
    }
    assert "variance_ratio" in capsys.readouterr().out


def test_blocks_that_do_not_run_are_noticed(tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text("```python\nx = 1\n```\n\n```python\nx.no_such_thing\n```\n")
    monkeypatch.setattr("tests.test_readme.ROOT", tmp_path)
    with pytest.raises(AttributeError, match="no_such_thing"):
        run_blocks("page.md")


# -- doctests -------------------------------------------------------------------------------------


def doctests():
    """All docstrings with examples, found in the source: decorators can not hide them."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        module = ".".join(["sure_pyro", *file.relative_to(PACKAGE).with_suffix("").parts])
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if ">>>" in text:
                    name = getattr(node, "name", "module")
                    yield pytest.param(module, name, text, id=f"{module}:{name}")


@pytest.mark.parametrize(("module", "name", "text"), list(doctests()))
def test_doctest(module, name, text, small):
    names = dict(vars(importlib.import_module(module.removesuffix(".__init__"))))
    example = doctest.DocTestParser().get_doctest(text, names, name, module, 0)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(
        example, out=said.append
    )
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


# -- the pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    for target in targets:
        if "://" not in target and not target.startswith("#"):
            file = target.split("#")[0]
            assert (ROOT / page).parent.joinpath(file).exists(), f"{page} links to {target}"


def symbol_names():
    """Dotted names in the last column of the table of symbols."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("<!-- symbols -->")[1]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    return sorted({name for row in rows for name in re.findall(r"`([a-z]+\.[\w.]+)`", row[-2])})


@pytest.mark.parametrize("name", symbol_names())
def test_names_in_the_table_of_symbols_exist(name):
    def step(owner, part):
        fields = getattr(owner, "__dataclass_fields__", {}) | getattr(owner, "__annotations__", {})
        package = getattr(owner, "__path__", None) is not None and not hasattr(owner, part)
        if package and find_spec(f"{owner.__name__}.{part}"):  # a room that nobody opened yet
            return importlib.import_module(f"{owner.__name__}.{part}")
        return None if part in fields else getattr(owner, part)

    reduce(step, name.split("."), sure_pyro)


def test_the_readme_shows_the_install_commands_of_the_makefile():
    readme = (ROOT / "README.md").read_text()
    wheel = re.search(r'"torch==[\d.]+"', (ROOT / "Makefile").read_text()).group()
    assert f"pip install -c constraints.txt {wheel}" in readme


def test_the_page_on_comparison_runs():
    names = run_blocks("docs/comparison.md")
    assert names["result"].models == ("elbo", "elbo+pcc")
