"""
Which pair for my data?
=======================

Compare all pairs on the same folds, each at its own best alpha: the search over alpha
is part of what is compared. Where an interval contains 0, the difference between the
pair and the best one is not significant.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV

from skce import PairedMLPClassifier, PairingComparisonDisplay, compare_pairings

X, y = load_wine(return_X_y=True)
classifier = PairedMLPClassifier(hidden_layer_sizes=5, max_iter=5000, random_state=0)
search = GridSearchCV(
    classifier, {"alpha": [0.01, 0.1, 1, 10]}, scoring="neg_log_loss", cv=3
)
comparison = compare_pairings(search, X, y)
print(comparison)

fig, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
PairingComparisonDisplay.from_comparison(comparison, scoring="accuracy", ax=axes[0])
PairingComparisonDisplay.from_comparison(comparison, scoring="neg_log_loss", ax=axes[1])
plt.show()
