import subprocess

import torch

from sure_pyro.provenance import commit, machine, provenance, versions


def test_versions_name_what_the_numbers_depend_on():
    found = versions()
    assert found["torch"] == torch.__version__
    assert {"python", "sure-pyro", "pyro-ppl", "numpy"} <= set(found)


def test_machine_in_words():
    assert "cores" in machine()
    assert set(provenance()) == {"versions", "commit", "machine"}


def test_outside_git_there_is_no_commit(tmp_path):
    assert commit(tmp_path) is None


def test_inside_somebody_elses_repository_there_is_none_either(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    package = tmp_path / "site-packages"
    package.mkdir()
    (package / "module.py").write_text("x = 1\n")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    assert commit(package) is None
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "tracked"], check=True)
    assert len(commit(package)) == 40
    (package / "module.py").write_text("x = 2\n")
    assert commit(package).endswith("+changes")
