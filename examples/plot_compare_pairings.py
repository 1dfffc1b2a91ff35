"""
Comparing all pairs on your data
================================

`compare_pairings` cross-validates all pairs of output activation and penalty on the
same folds. Here each pair is given its own best alpha: the search over alpha is part of
what is compared, as the same alpha regularises more with one penalty than with another.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV

from skce import PairedMLPClassifier, PairingComparisonDisplay, compare_pairings

X, y = load_wine(return_X_y=True)
classifier = PairedMLPClassifier(hidden_layer_sizes=5, max_iter=5000, random_state=0)
search = GridSearchCV(
    classifier, {"alpha": [0.1, 1, 10]}, scoring="neg_log_loss", cv=3
)
comparison = compare_pairings(search, X, y)

# %%
# The log loss judges the probabilities. Where an interval contains 0, the difference
# between a pair and the best one is not significant.

PairingComparisonDisplay.from_comparison(comparison, scoring="neg_log_loss")
plt.gcf().set_layout_engine("constrained")
plt.show()

# %%
# By accuracy nearly all pairs are tied: whoever needs labels alone has a free choice
# here.

PairingComparisonDisplay.from_comparison(comparison, scoring="accuracy")
plt.gcf().set_layout_engine("constrained")
plt.show()

# %%
# All scores, the times, and the alphas that the folds chose:

comparison
