"""
What a pair estimates, and where it is flat
===========================================

The loss of a row with three classes and its slope against the margin of the label, and
the output against the true posterior probability. Generalized cross-entropy is bounded,
and flat where a row is surely wrong; its outputs are surer than the posterior. The
focal loss keeps its slope there, and its outputs are less sure. The formula of
`posterior_of` gives the posterior back from either.
"""

import matplotlib.pyplot as plt

from skce import PairingPropertiesDisplay, pairing_properties
from skce.losses import Focal, GeneralizedCrossEntropy

fig, axes = plt.subplots(3, 2, figsize=(9, 11), layout="constrained")
penalties = ["cross_entropy", GeneralizedCrossEntropy(q=0.7), Focal(gamma=2)]
for row, penalty in zip(axes, penalties, strict=True):
    properties = pairing_properties("softmax", penalty)
    PairingPropertiesDisplay.from_properties(properties, axes=row)
    print(properties, end="\n\n")
plt.show()
