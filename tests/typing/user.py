"""A user's script, for mypy: the annotations of the public names are what they say."""

from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from skce import (
    BrokenFitError,
    PairedMLPClassifier,
    PairingComparison,
    Summary,
    alpha_path,
    check_gradient,
    compare_pairings,
    hessian,
    pairing_properties,
    pairing_status,
    standard_errors,
    summary,
)
from skce.losses import REAL_LINE, GeneralizedCrossEntropy, Interval, Penalty
from skce.losses.pairings import Pairing


class LogCosh(Penalty):
    """A user-defined penalty."""

    domain: Interval = REAL_LINE

    def value(
        self, t: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.log(np.cosh(y - t))

    def derivative(
        self, t: NDArray[np.float64], y: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.tanh(y - t)


rng = np.random.default_rng(0)
X = rng.normal(size=(100, 3))
y = (X[:, 0] > 0).astype(int)

clf = PairedMLPClassifier("softmax", GeneralizedCrossEntropy(q=0.5), alpha=0.1)
try:
    clf = clf.fit(X, y)
except BrokenFitError as error:
    print(error.best)
assert_type(clf, PairedMLPClassifier)
assert_type(clf.loss_, float)
assert_type(clf.pairing_, Pairing)
p = clf.predict_proba(X)
shape: tuple[int, ...] = p.shape
fitted = PairedMLPClassifier("softmax", LogCosh(), hidden_layer_sizes=()).fit(X, y)
assert_type(summary(fitted, X, y), Summary)
assert_type(hessian(fitted, X, y), NDArray[np.float64])
assert_type(compare_pairings(clf, X, y), PairingComparison)
errors: list[list[object]] = standard_errors(
    fitted, X, y, kind="sandwich"
).errors.tolist()
worst: float = check_gradient(clf, X, y)["gradient"]
path: list[PairedMLPClassifier] = alpha_path(clf, X, y, [1.0, 0.1])
status: str = pairing_status("softmax", "cross_entropy")
proper: bool | None = pairing_properties("softmax", LogCosh()).proper.value
