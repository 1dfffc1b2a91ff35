"""
Why t log(t / y) needs softmax
==============================

The paper's figures 1 and 2. For a given target, a penalty should be smallest where the
output equals the target (dashed line). Least squares has this property.
"""

import matplotlib.pyplot as plt

from skce import PenaltyDisplay

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
PenaltyDisplay.from_penalty("least_squares", ax=ax)
plt.show()

# %%
# The cross-entropy t log(t / y) is smallest at y = 1 for every target. Minimising it
# leads to an output of 1 for every class, unless the outputs must sum to 1, as those of
# softmax do: then an output can rise only if another falls.

fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
PenaltyDisplay.from_penalty("cross_entropy", ax=ax)
plt.show()

# %%
# Binary cross-entropy has a second term, for targets of 0, so it suits logistic outputs
# as well.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
PenaltyDisplay.from_penalty("binary_cross_entropy", kind="curves", ax=ax)
plt.show()
