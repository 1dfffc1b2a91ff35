"""
Choosing alpha along a path
===========================

`alpha_path` fits a sequence of alphas from the largest to the smallest. Each fit starts
from the solution of the previous one. Here are nine alphas on half of the digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skce import PairedMLPClassifier, alpha_path

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=0.5, stratify=y, random_state=0
)
alphas = np.geomspace(100, 1e-2, 9)
classifier = PairedMLPClassifier(hidden_layer_sizes=30, random_state=0)
fits = alpha_path(classifier, X, y, alphas)

# %%
# The smaller alpha is, the smaller is the training loss. The test loss has a minimum:
# to its left the network overfits, to its right it underfits. The default is 2.

losses = {
    "training rows": [log_loss(y, fit.predict_proba(X)) for fit in fits],
    "test rows": [log_loss(y_test, fit.predict_proba(X_test)) for fit in fits],
}
best = alphas[np.argmin(losses["test rows"])]
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (rows, values), style in zip(losses.items(), ("s--", "o-"), strict=True):
    ax.loglog(alphas, values, style, ms=4, label=rows)
ax.axvline(best, c="0.5", lw=1, ls=":", label=f"smallest on test rows: {best:.2g}")
ax.set(xlabel="alpha", ylabel="log loss (nats)", title="Digits, 898 training rows")
ax.legend()
plt.show()

# %%
# Each line is a hidden unit, and its height is the norm of the unit's incoming weights.
# The norms grow gradually as alpha falls, because each fit starts from the previous
# solution.

norms = np.array([np.linalg.norm(fit.coefs_[0], axis=0) for fit in fits])
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.semilogx(alphas, norms, c="C0", lw=0.8)
ax.axvline(best, c="0.5", lw=1, ls=":")
ax.set(xlabel="alpha", ylabel="norm of a unit's weights", title="Hidden units")
plt.show()
