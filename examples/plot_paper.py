"""
The paper's experiment
======================

There are four Gaussian classes with a known posterior. The paper's quantity (4) is the
distance between the estimated and the exact posterior probabilities. Here it is
computed in 20 trials (100 in the paper), with all pairs fitted to the same data.
`python -m skce.paper` computes all tables and figures.
"""

import matplotlib.pyplot as plt

from skce.paper import mean_diagonals, paired_differences, table_2
from skce.paper.trials import by_pair, run_trials

trials = run_trials(20, seed=0)

# %%
# The distances in each trial, connected by a line from pair to pair. Most of their
# spread is common to all pairs, so differences within a trial are more informative than
# the means.

distances = by_pair(trials, "quantity_4")
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(distances.T, range(4), "o-", c="0.8", ms=3, lw=0.8)  # a line per trial
ax.errorbar(
    distances.mean(), range(4), xerr=2 * distances.sem(), fmt="ks", capsize=5, zorder=3
)
ax.set_yticks(range(4), distances.columns)
ax.set(
    xlabel="distance to the exact posterior, (4)",
    title="Distances in 20 trials",
)
ax.invert_yaxis()
plt.show()

# %%
# Table 2, beside the published figures, which are from 100 trials and from training
# that stops earlier:

print(table_2(trials).T.to_string(float_format="{:.3f}".format))

# %%
# Differences within a trial, and their distance from 0 in standard errors:

print(paired_differences(trials).to_string(float_format="{:.2f}".format))

# %%
# The mean diagonal of the confusion matrix, which is at most that of the Bayes rule:

print(mean_diagonals(trials).to_string(float_format="{:.3f}".format))
