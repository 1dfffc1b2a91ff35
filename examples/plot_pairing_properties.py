"""
What a pair estimates, and where it is flat
===========================================

`pairing_properties` tells what theory says of a pair, and its display draws two things:
the loss of a row with three classes and its slope, against the margin of the label; and
the output where the expected loss is smallest, against the true posterior probability.

The natural pair of softmax estimates the posterior itself, and pulls at a wrong row
with a slope that does not vanish.
"""

import matplotlib.pyplot as plt

from skce import PairingPropertiesDisplay, pairing_properties
from skce.losses import Focal, GeneralizedCrossEntropy


def draw(penalty):
    """Draw the properties of softmax with a penalty, and return them."""
    properties = pairing_properties("softmax", penalty)
    _, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    PairingPropertiesDisplay.from_properties(properties, axes=axes)
    plt.show()
    return properties


print(draw("cross_entropy"))

# %%
# Generalized cross-entropy is bounded, and flat where a row is surely wrong: it gives
# up rows with wrong labels. Its outputs are surer than the posterior.

print(draw(GeneralizedCrossEntropy(q=0.7)))

# %%
# The focal loss keeps its slope, and its outputs are less sure than the posterior. The
# formula of `posterior_of` gives the posterior back from either.

print(draw(Focal(gamma=2)))
