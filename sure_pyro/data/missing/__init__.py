"""Generators of missingness: each lowers the availability of a batch, by a seed.

Nothing that is missing ever comes back, and every row keeps at least one modality unless
``keep_one=False``. A rate is an expected share and exact in spite of that; how is derived in
`sure_pyro.data.missing.keep`.

``mcar`` completely at random at one rate; ``per_modality`` at a rate for each; ``hide_exactly`` a
fixed number per row; ``pattern`` a fixed subset ("text only"); ``mar`` depending on a visible
modality or the target; ``mnar`` depending on the value that goes missing; ``block`` whole groups at
a time; ``within`` steps or entries inside a modality.
"""

from sure_pyro.data.missing.blocks import block
from sure_pyro.data.missing.completely import hide_exactly, mcar, per_modality
from sure_pyro.data.missing.dependent import mar, mnar
from sure_pyro.data.missing.fixed import pattern
from sure_pyro.data.missing.inside import within

__all__ = ["mcar", "per_modality", "hide_exactly", "pattern", "mar", "mnar", "block", "within"]
