"""
The paper's experiment
======================

Four Gaussian classes with a known posterior, and the distance (4) of estimated from
exact posterior probabilities, in 20 instead of the paper's 100 trials, with all pairs
fitted to the same data. `python -m skce.paper` computes all tables and figures.
"""

import matplotlib.pyplot as plt

from skce.paper import mean_diagonals, paired_differences, table_2
from skce.paper.trials import by_pair, run_trials

trials = run_trials(20, seed=0)
for table in (table_2(trials), paired_differences(trials), mean_diagonals(trials)):
    print(table.to_string(float_format="{:.3f}".format), end="\n\n")

distances = by_pair(trials, "quantity_4")
fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
ax.plot(distances.T, range(4), "o-", c="0.8", ms=3, lw=0.8)  # a line per trial
ax.errorbar(
    distances.mean(), range(4), xerr=2 * distances.sem(), fmt="ks", capsize=5, zorder=3
)
ax.set_yticks(range(4), distances.columns)
ax.set(
    xlabel="distance to the exact posterior, (4)",
    title="20 trials, with means and two standard errors",
)
ax.invert_yaxis()
plt.show()
