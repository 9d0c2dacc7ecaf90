"""Making the uncertainty of a fitted model right, per mask pattern, and deciding with it.

Recalibration, conformal prediction, deferral, and online updates of all three where the world
drifts. `arrays` computes it, on the numbers of anybody's model; the names here do it on a `SURE`.
"""

import lazy_loader

# What is offered stands in ``__init__.pyi``. It is imported when it is first asked for, so that
# `arrays` alone needs neither torch nor Pyro.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
