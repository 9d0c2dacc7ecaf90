"""The report: one run over real data, and what a person should conclude from it."""

from sure_pyro.report.conclusions import Conclusion, conclude
from sure_pyro.report.evidence import Evidence
from sure_pyro.report.run import demo, write_report
from sure_pyro.report.study import OBJECTIVES, Settings, Study

__all__ = [
    "demo",
    "OBJECTIVES",
    "Settings",
    "Study",
    "write_report",
    "Evidence",
    "conclude",
    "Conclusion",
]
