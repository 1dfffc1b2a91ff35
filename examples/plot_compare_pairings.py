"""
Comparing all pairs on your data
================================

`compare_pairings` cross-validates all pairs of output activation and penalty on the
same folds. Here each pair has its own best alpha: the search for alpha is part of what
is compared, because the same alpha regularises one penalty more than another.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV

from skce import PairedMLPClassifier, PairingComparisonDisplay, compare_pairings

X, y = load_wine(return_X_y=True)
classifier = PairedMLPClassifier(hidden_layer_sizes=5, max_iter=5000, random_state=0)
search = GridSearchCV(classifier, {"alpha": [0.1, 1, 10]}, scoring="neg_log_loss", cv=3)
comparison = compare_pairings(search, X, y)

# %%
# The log loss judges the probabilities. The differences are to the best pair; where an
# interval contains 0, the difference is not significant.

PairingComparisonDisplay.from_comparison(comparison, scoring="neg_log_loss")
plt.gcf().set_layout_engine("constrained")
plt.show()

# %%
# By accuracy, no pair differs significantly from the best: if you only need labels, any
# of them will do here.

PairingComparisonDisplay.from_comparison(comparison, scoring="accuracy")
plt.gcf().set_layout_engine("constrained")
plt.show()

# %%
# All scores, the times, and the alphas that were chosen in the folds:

comparison
