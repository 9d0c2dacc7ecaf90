"""From results to the tools of others: ArviZ."""

from sure_pyro.diagnostics.arviz import to_arviz

__all__ = ["to_arviz"]
