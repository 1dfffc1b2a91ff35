"""
The penalties, and why one of them needs softmax
================================================

The paper's figures 1 and 2, and the two curves of the binary cross-entropy. For a given
target, least squares and binary cross-entropy are smallest at y = t (dashed line), but
t log(t / y) is smallest at y = 1 for every target. Minimising it leads to an output of
1 for every class, unless the outputs must sum to 1, as those of softmax do.
"""

import matplotlib.pyplot as plt

from skce import PenaltyDisplay

fig, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
PenaltyDisplay.from_penalty("cross_entropy", ax=axes[0])
PenaltyDisplay.from_penalty("least_squares", ax=axes[1])
PenaltyDisplay.from_penalty("binary_cross_entropy", kind="curves", ax=axes[2])
plt.show()
