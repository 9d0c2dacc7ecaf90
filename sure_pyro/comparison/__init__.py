"""Many uncertainty models, one table: evaluation masks, scores, and the comparison itself."""

from sure_pyro.comparison.comparison import Comparison
from sure_pyro.comparison.recipe import Recipe
from sure_pyro.comparison.run import compare
from sure_pyro.comparison.save import save_comparison

__all__ = [
    "compare",
    "Comparison",
    "save_comparison",
    # what can be compared
    "Recipe",
]
