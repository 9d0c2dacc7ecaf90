"""The evaluation masks of a comparison and of a report: see `sure_pyro.data.masked_rows`."""

from sure_pyro.data.masked_rows import RANDOM, MaskedRows, draw_masks

__all__ = ["RANDOM", "MaskedRows", "draw_masks"]
