"""Many uncertainty models, one table: evaluation masks, scores, and the comparison itself."""

from sure_pyro.comparison.comparison import Comparison
from sure_pyro.comparison.recipe import Built, Filling, Fitted, Recipe, recipe
from sure_pyro.comparison.results import Failure
from sure_pyro.comparison.run import compare
from sure_pyro.comparison.save import save_comparison

__all__ = [
    "compare",
    "Comparison",
    "Failure",
    "save_comparison",
    # what can be compared
    "Recipe",
    "recipe",
    "Filling",
    "Built",
    "Fitted",
]
