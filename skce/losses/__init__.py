"""Output activations, penalties, their pairings, and hidden activations.

Pure formulas on arrays of shape (units, rows). Where to start reading: `activations`
and `penalties` have the formulas, `pairings.pair` puts two of them together, and
`pairings.NaturalPairing.loss_and_delta` is what a fit with the defaults computes.
"""

from skce.losses import (
    activations,
    hidden,
    intervals,
    pairings,
    penalties,
    properties,
)
from skce.losses.activations import *  # noqa: F403
from skce.losses.hidden import *  # noqa: F403
from skce.losses.intervals import *  # noqa: F403
from skce.losses.pairings import *  # noqa: F403
from skce.losses.penalties import *  # noqa: F403
from skce.losses.properties import *  # noqa: F403

# A class listed in the `__all__` of its module is exported here as well
__all__: list[str] = []
__all__ += activations.__all__
__all__ += hidden.__all__
__all__ += intervals.__all__
__all__ += pairings.__all__
__all__ += penalties.__all__
__all__ += properties.__all__
