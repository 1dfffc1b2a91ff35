"""
Loss curves
===========

`LossCurveDisplay` draws the objective after each iteration of a fit. The objectives of
different pairs have different units, so compare the numbers of iterations but not the
heights.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits, make_classification

from skce import LossCurveDisplay, PairedMLPClassifier

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
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
    LossCurveDisplay.from_estimator(classifier.fit(X, y), ax=ax)
ax.set(yscale="log", title="Digits", ylabel="objective per row (logarithmic)")
plt.show()

# %%
# With `growing_sample=True`, a fit starts on a sample that grows from stage to stage
# until it contains all rows. At the beginning of a stage the objective jumps, because
# the sample now contains new rows. Most iterations take place in the early stages,
# where they are cheap.

X, y = make_classification(20000, n_informative=8, random_state=0)
fit = PairedMLPClassifier(
    hidden_layer_sizes=10, alpha=10, growing_sample=True, random_state=0
).fit(X, y)
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
LossCurveDisplay.from_estimator(fit, ax=ax, name="stages")
ax.set_title("A growing sample")
plt.show()
