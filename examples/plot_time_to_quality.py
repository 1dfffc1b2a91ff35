"""
Time to a given quality
=======================

How long does a fit take to reach a test log loss? This example compares
`PairedMLPClassifier` (minibatches, then L-BFGS) and scikit-learn's `MLPClassifier`
(adam) on 20 000 rows, both with their defaults except for the size of the network. The
times are those of the machine that built this page.
"""

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skce import PairedMLPClassifier

X, y = make_classification(
    30_000,
    n_features=30,
    n_informative=12,
    n_classes=5,
    n_clusters_per_class=2,
    flip_y=0.02,
    random_state=0,
)
X, X_test, y, y_test = train_test_split(X, y, test_size=10_000, random_state=0)


def by_iterations(limits):
    """Return seconds and test loss of whole fits with these limits."""
    for max_iter in limits:
        fit = PairedMLPClassifier(
            hidden_layer_sizes=30, max_iter=max_iter, random_state=0
        )
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit.fit(X, y)
        seconds = time.perf_counter() - start
        yield seconds, log_loss(y_test, fit.predict_proba(X_test))


def by_epochs(n_epochs):
    """Return seconds and test loss after each epoch."""
    fit, seconds = MLPClassifier(30, random_state=0), 0.0
    for _ in range(n_epochs):
        start = time.perf_counter()
        fit.partial_fit(X, y, classes=np.unique(y))
        seconds += time.perf_counter() - start
        yield seconds, log_loss(y_test, fit.predict_proba(X_test))


curves = {
    "PairedMLPClassifier": [*by_iterations([5, 10, 20, 40, 80, 160])],
    "MLPClassifier, adam": [*by_epochs(60)],
}

# %%
# For `PairedMLPClassifier`, each marker is a separate fit with a different `max_iter`;
# for adam, each marker is an epoch. The time axis is logarithmic.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, curve), style in zip(curves.items(), ("o-", "s--"), strict=True):
    ax.semilogx(*zip(*curve, strict=True), style, ms=4, label=name)
ax.set(
    xlabel="seconds of training (logarithmic)",
    ylabel="log loss of test rows (nats)",
    title="Time to quality: 20 000 rows, five classes",
)
ax.legend()
plt.show()
