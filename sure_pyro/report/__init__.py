"""The report: one run over real data, and what a person should conclude from it."""

from sure_pyro.report.run import demo
from sure_pyro.report.study import Settings

__all__ = [
    "demo",
    "Settings",
]
