"""
Forty per cent wrong labels
===========================

Train on digits of which 40 % have a wrong label, and test on correct labels. The
cross-entropy of a mislabelled row is unbounded; generalized cross-entropy (Zhang &
Sabuncu 2018) and least squares are bounded, which limits the influence of a wrong
label. They lose less accuracy where alpha is too small, and generalized cross-entropy
at its best alpha is the best of all. The best alphas are far above the default of 2,
and that of least squares is below that of cross-entropy: a bounded loss weighs less
against the L2 term.
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

alphas = [1, 3, 10, 30]
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
penalties = ["cross_entropy", "least_squares", GeneralizedCrossEntropy(q=0.7)]
for penalty, style in zip(penalties, ("o-", "s--", "^-."), strict=True):
    scores = []
    for alpha in alphas:
        classifier = PairedMLPClassifier(
            penalty=penalty, hidden_layer_sizes=30, alpha=alpha, random_state=0
        )
        scores.append(classifier.fit(X, y).score(X_test, y_test))
    print(f"{penalty}: best accuracy {max(scores):.3f}")
    ax.plot(alphas, scores, style, label=str(penalty))
ax.set(xscale="log", xlabel="alpha", ylabel="accuracy on correct labels")
ax.set(title="Digits with 40 % wrong labels")
ax.set_xticks(alphas, alphas)
ax.minorticks_off()
ax.legend()
plt.show()
