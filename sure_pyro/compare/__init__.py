"""Many uncertainty models, one table: evaluation masks, scores, and the comparison itself."""

from sure_pyro.compare.comparison import Comparison, Failure
from sure_pyro.compare.recipe import Built, Filling, Fitted, Recipe, recipe
from sure_pyro.compare.run import compare

__all__ = [
    "compare", "Comparison", "Failure",
    # what can be compared
    "Recipe", "recipe", "Filling", "Built", "Fitted",
]  # fmt: skip
