"""What went wrong, by known signs; and from results to the tools of others: ArviZ."""

from sure_pyro.diagnostics.arviz import to_arviz
from sure_pyro.diagnostics.diagnosis import diagnose
from sure_pyro.diagnostics.pit import predictive_pit

__all__ = ["diagnose", "to_arviz", "predictive_pit"]
