"""Where a report comes from: command, versions, commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("sure-pyro", "torch", "pyro-ppl", "numpy", "pandas", "scikit-learn", "arviz")


def provenance() -> dict[str, Any]:
    """Versions, commit and machine, as they go into ``run.json``."""
    return {"versions": versions(), "commit": commit(), "machine": machine()}


def versions() -> dict[str, str]:
    """Of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that is not installed
            found[package] = "not installed"
    return found


def commit(folder: Path | None = None) -> str | None:
    """Commit of the source tree, with ``+changes`` if files differ from it; None outside git.

    Parameters
    ----------
    folder : Path, optional
        That of this package by default. It must be tracked: an installed copy inside somebody
        else's repository has no commit of its own.
    """
    folder = folder or Path(__file__).resolve().parent
    if not _git(folder, "ls-files", "."):
        return None
    head = _git(folder, "rev-parse", "HEAD")
    return head + "+changes" if head and _git(folder, "status", "--porcelain", ".") else head


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def machine() -> str:
    """The machine in words: system, processor, cores."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"
