"""
The loss curve of a fit
=======================

The objective after each iteration: on the left for three pairs, on the right for a fit
that starts on a sample of its rows which grows from stage to stage until it has all.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_classification

from skce import LossCurveDisplay, PairedMLPClassifier

fig, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
pairs = [
    ("softmax", "cross_entropy"),
    ("softmax", "least_squares"),
    ("logistic", "binary_cross_entropy"),
]
X, y = load_digits(return_X_y=True)
for pair in pairs:
    classifier = PairedMLPClassifier(
        *pair, hidden_layer_sizes=20, alpha=1, random_state=0
    )
    LossCurveDisplay.from_estimator(classifier.fit(X, y), ax=axes[0])
axes[0].set(yscale="log", title="Digits")

X, y = make_classification(20000, n_informative=8, random_state=0)
fit = PairedMLPClassifier(
    hidden_layer_sizes=10, alpha=10, growing_sample=True, random_state=0
).fit(X, y)
LossCurveDisplay.from_estimator(fit, ax=axes[1]).ax_.set_title("A growing sample")
plt.show()
