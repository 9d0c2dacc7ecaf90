"""Further methods of propagation, beside the two that check each other, and which one to use.

`second_order` adds what the curvature does, `unscented` needs neither gradients nor draws,
`moment_matching` walks through plain stacks of layers, `to_probability` takes logits to
probabilities, and `recommend` tries the methods on a few rows. All give `Moments`.
"""

from sure_pyro.propagation.more.assumed_density import moment_matching
from sure_pyro.propagation.more.curvature import second_order
from sure_pyro.propagation.more.probability import to_probability
from sure_pyro.propagation.more.recommendation import recommend
from sure_pyro.propagation.more.sigma_points import unscented

__all__ = [
    "second_order",
    "unscented",
    "moment_matching",
    "to_probability",
    "recommend",
]
