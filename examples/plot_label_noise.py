"""
Training with 40 % wrong labels
===============================

Train on digits of which 40 % have a wrong label, and test on correct labels. The
cross-entropy of a mislabelled row is unbounded; generalized cross-entropy (Zhang &
Sabuncu 2018) and least squares are bounded, which limits the influence of a wrong
label.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skce import PairedMLPClassifier
from skce.losses.penalties import GeneralizedCrossEntropy

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
rng = np.random.default_rng(0)
wrong = rng.uniform(size=len(y)) < 0.4
y = np.where(wrong, (y + rng.integers(1, 10, size=len(y))) % 10, y)

# %%
# Fit each of the three losses with alphas from too small to too large, and print the
# best accuracy, its standard error and its alpha.

alphas = [0.3, 1, 3, 10, 20, 40]
accuracies = {}
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
penalties = ["cross_entropy", "least_squares", GeneralizedCrossEntropy(q=0.7)]
for penalty, style in zip(penalties, ("o-", "s--", "^-."), strict=True):
    classifier = PairedMLPClassifier(
        penalty=penalty, hidden_layer_sizes=30, random_state=0
    )
    accuracy = np.array(
        [
            classifier.set_params(alpha=alpha).fit(X, y).score(X_test, y_test)
            for alpha in alphas
        ]
    )
    error = np.sqrt(accuracy * (1 - accuracy) / len(y_test))
    best = accuracy.argmax()
    print(f"{penalty}: {accuracy[best]:.3f} ({error[best]:.3f}) at {alphas[best]}")
    ax.errorbar(alphas, accuracy, error, fmt=style, capsize=2, label=str(penalty))
    accuracies[str(penalty)] = accuracy
ax.set(xscale="log", xlabel="alpha", ylabel="accuracy on correct labels")
ax.set(title="Digits with 40 % wrong labels (bars: standard errors)")
ax.set_xticks(alphas, alphas)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# The bounded losses lose far less accuracy if alpha is too small. At its best alpha,
# each of the three reaches about 0.93, with a standard error of 0.012 for 450 test
# rows: the differences are not significant. The best alphas are far above the default
# of 2. If alpha is too large, bounded losses break down sooner, because the L2 term
# outweighs them sooner.
