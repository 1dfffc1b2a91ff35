"""
What a pair estimates, and where it is flat
===========================================

`pairing_properties` determines what theory says about a pair, and its display draws two
things: the loss of a row with three classes and its slope, against the margin of the
label; and the output with the smallest expected loss, against the true posterior
probability.

The natural pair of softmax estimates the posterior itself, and its slope does not
vanish for misclassified rows.
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
# Generalized cross-entropy is bounded, and flat where a row is confidently
# misclassified, so rows with wrong labels have little influence. Its outputs are more
# confident than the posterior.

print(draw(GeneralizedCrossEntropy(q=0.7)))

# %%
# The focal loss keeps its slope, and its outputs are less confident than the posterior.
# For both losses, `posterior_of` recovers the posterior from the outputs.

print(draw(Focal(gamma=2)))
