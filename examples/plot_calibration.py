"""
Reliability: are the probabilities right?
=========================================

A classifier is calibrated if eight of ten rows to which it gives a probability of 0.8
belong to that class. A network with too small an alpha is not calibrated: it is
overconfident.

The two classes overlap, and one label in ten is random. Both fits use the same 500
rows; their probabilities are checked on 20 000 others.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skce import PairedMLPClassifier, PairedMLPClassifierCV, summary

X, y = make_classification(20500, n_informative=6, flip_y=0.1, random_state=1)
X, X_test, y, y_test = train_test_split(X, y, train_size=500, random_state=0)
fits = {
    "alpha=0.01": PairedMLPClassifier(
        hidden_layer_sizes=20, alpha=0.01, random_state=0
    ),
    "alpha chosen": PairedMLPClassifierCV(hidden_layer_sizes=20, random_state=0),
}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for fit in fits.values():
        fit.fit(X, y)

# %%
# A reliability diagram sorts the predicted probabilities into ten bins with equal
# numbers of rows and shows the frequency of the class in each bin. The fit whose alpha
# was chosen by cross-validation stays near the diagonal; it is slightly underconfident.
# The other one predicts 0 where the frequency is as high as 0.3, and 1 where it is as
# low as 0.7.

fig, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for (name, fit), marker in zip(fits.items(), "so", strict=True):
    CalibrationDisplay.from_estimator(
        fit, X_test, y_test, n_bins=10, strategy="quantile", name=name, ax=ax
    ).line_.set_marker(marker)
ax.set(
    xlabel="predicted probability of class 1",
    ylabel="frequency of class 1",
    title="Reliability on 20 000 new rows",
)
ax.legend(loc="upper left")
plt.show()

# %%
# A histogram of the predicted probabilities: the overfitted network hardly ever
# predicts anything but 0 or 1.

fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.hist(
    [fit.predict_proba(X_test)[:, 1] for fit in fits.values()], bins=10, label=[*fits]
)
ax.set(
    xlabel="predicted probability of class 1",
    ylabel="rows",
    title="Predicted probabilities",
)
ax.legend(loc="upper center")
plt.show()

# %%
# `summary` reports the same as numbers, with advice:

summary(fits["alpha=0.01"], X_test, y_test)

# %%
# The fit with the chosen alpha:

summary(fits["alpha chosen"], X_test, y_test)
