"""Random orders of rows, and the split into training and validation rows."""

from dataclasses import dataclass, replace

import numpy as np

from skce._inputs.validation import check_rows
from skce._inputs.weights import ClassFactors, check_weights, weigh_data
from skce._network.data import Data, n_bytes
from skce._support.callers import within_cut_fit
from skce._support.warn import warn

__all__ = [
    "MAX_COPIED_BYTES",
    "HeldOut",
    "given_validation",
    "order_of_runs",
    "random_order",
    "shuffled",
    "split",
    "split_data",
    "stratified_order",
    "warn_if_cut",
]

# Copies of a sample and its fresh rows, in bytes. A larger X may be a file, which is
# read by pages: of that, runs of neighbours of `RUN_BYTES` are sampled together.
MAX_COPIED_BYTES = 2**27
RUN_BYTES = 2**15

# Validation rows of a larger X, in bytes
MAX_VALIDATION_BYTES = 2**25


def _narrow(n):
    """The dtype of indices below n: int32 where that holds them."""
    return np.int32 if n <= np.iinfo(np.int32).max else np.int64


def stratified_order(codes, random_state):
    """Return a random order of the rows in which all classes progress alike.

    For each class, the number among the first m rows differs from its share of m by one
    row or so. Rows of indicators, (n, q), are in plain random order.

    Parameters
    ----------
    codes : ndarray of shape (n,) or (n, q)
    random_state : RandomState

    Returns
    -------
    order : ndarray of shape (n,), int32 where that holds n
    """
    n = len(codes)
    order = random_state.permutation(np.arange(n, dtype=_narrow(n)))
    if codes.ndim == 2:
        return order
    order = order[np.argsort(codes[order], kind="stable")]
    progress = np.empty(n)
    start = 0
    for count in np.bincount(codes):
        # (i + u) / count, with one u per class
        part = progress[start : start + count]
        part[:] = np.arange(count)
        part += random_state.uniform()
        part /= max(count, 1)
        start += count
    return order[np.argsort(progress, kind="stable")]


def random_order(X, codes, random_state, n_wanted):
    """Return at least `n_wanted` rows of X, if it has as many, in a random order.

    Of an X of at most `MAX_COPIED_BYTES`, or of wide rows, stratified by class. Of a
    larger one, runs of neighbours: thousands of them, so that all classes are present
    however X is sorted. It depends on the size of X, and not on whether that is a file:
    joblib makes files of large arrays that it gives to other processes.
    """
    run = _run_of(X)
    if run is None:
        return stratified_order(codes, random_state)
    return order_of_runs(len(codes), random_state, n_wanted, run)


def _run_of(X):
    """Return how many neighbouring rows of X are read together; None: any by itself."""
    run = RUN_BYTES * X.shape[0] // max(n_bytes(X), 1)
    return None if n_bytes(X) <= MAX_COPIED_BYTES or run < 2 else run


def order_of_runs(n, random_state, n_wanted, run):
    """Return at least `n_wanted` of n rows, in a random order of runs of neighbours.

    The last run may be shorter.
    """
    n_runs = -(-n_wanted // run) + 1
    runs = random_state.permutation(-(-n // run))[:n_runs].astype(_narrow(n + run))
    order = (runs[:, np.newaxis] * run + np.arange(run, dtype=runs.dtype)).ravel()
    return order[order < n]


def shuffled(X, random_state):
    """Return all rows of X in a random order, in which they can be read.

    Those of a large X, as in `random_order`, are runs of neighbours, which are shuffled
    within windows of `MAX_COPIED_BYTES`.
    """
    n, run = X.shape[0], _run_of(X)
    if run is None:
        return random_state.permutation(np.arange(n, dtype=_narrow(n)))
    order = order_of_runs(n, random_state, n, run)
    window = MAX_COPIED_BYTES * n // n_bytes(X)
    for start in range(0, n, window):
        random_state.shuffle(order[start : start + window])
    return order


@dataclass(frozen=True)
class HeldOut:
    """Rows held out for validation.

    Attributes
    ----------
    data : Data
        With sample weights, without class weights.
    weighted : bool
        Whether the weights are the user's; otherwise they count repeated rows.
    factors : ClassFactors or None
    """

    data: Data
    weighted: bool
    factors: ClassFactors | None = None

    def for_loss(self):
        """Return the data with the class weights."""
        return weigh_data(self.data, self.factors)

    def for_scorer(self, labels):
        """Return X, y and the user's weights (or None)."""
        data = self.data
        if data.weights is not None and not self.weighted:
            repeated = np.repeat(np.arange(data.n_rows), data.weights.astype(int))
            data = replace(data.take(repeated), weights=None)
        return data.X, labels.decode(data.codes), data.weights


def split(codes, fraction, random_state):
    """Split rows into training and validation rows, stratified by class.

    Every class keeps a training row.

    Parameters
    ----------
    codes : ndarray of shape (n,) or (n, q)
    fraction : float
        Of the validation rows.
    random_state : RandomState

    Returns
    -------
    training, validation : ndarray of int, sorted

    Raises
    ------
    ValueError
        If no row can be spared.
    """
    n = len(codes)
    order = stratified_order(codes, random_state)
    # the last row of each class in this order stays
    kept = np.zeros(n, dtype=bool)
    if codes.ndim == 1:
        _, last = np.unique(codes[order][::-1], return_index=True)
        kept[order[n - 1 - last]] = True
    else:
        kept[order[-1]] = True
    spare = order[~kept[order]]
    validation = spare[: int(np.ceil(fraction * n))]
    if len(validation) == 0:
        raise ValueError(
            f"early_stopping=True, but none of the {n} distinct rows can be held out, "
            "because each class has only one: pass X_val and y_val."
        )
    mask = np.zeros(n, dtype=bool)
    mask[validation] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def split_data(data, fraction, random_state, weighted):
    """Split off validation rows.

    Parameters
    ----------
    data : Data
    fraction : float
    random_state : RandomState
    weighted : bool
        Whether the weights are the user's.

    Returns
    -------
    training : Data
    held_out : HeldOut
        Rows of weight 0 are in neither.
    """
    if data.n_bytes > MAX_COPIED_BYTES:
        return _split_large(data, fraction, random_state, weighted)
    weights = data.weights
    rows = np.arange(data.n_rows) if weights is None else np.flatnonzero(weights > 0)
    training, validation = split(data.codes[rows], fraction, random_state)
    return data.take(rows[training]), HeldOut(data.take(rows[validation]), weighted)


def _split_large(data, fraction, random_state, weighted):
    """Split data too large to copy: validation rows get a training weight of 0.

    They are at most `MAX_VALIDATION_BYTES`. Every class keeps a training row.
    """
    codes, weights, n = data.codes, data.weights, data.n_rows
    n_weighted = n if weights is None else np.count_nonzero(weights)
    n_most = MAX_VALIDATION_BYTES * n // data.n_bytes
    n_wanted = min(int(np.ceil(fraction * n_weighted)), n_most)
    order = random_order(
        data.X, codes, random_state, n_wanted if weights is None else n
    )
    if weights is not None:
        order = order[weights[order] > 0]
    validation = np.sort(order[:n_wanted])
    kept = np.ones(n, dtype=np.float32) if weights is None else weights.copy()
    kept[validation] = 0
    if codes.ndim == 1:
        lost = np.setdiff1d(codes[validation], codes[kept > 0])
        back = validation[np.isin(codes[validation], lost)]
        kept[back] = 1 if weights is None else weights[back]
        validation = np.setdiff1d(validation, back)
    return replace(data, weights=kept), HeldOut(data.take(validation), weighted)


def given_validation(estimator, given, labels):
    """Validate the validation rows that `fit` was given.

    Parameters
    ----------
    estimator : BasePairedMLP
    given : tuple
        X_val, y_val and sample_weight_val.
    labels : Labels

    Returns
    -------
    held_out : HeldOut or None

    Raises
    ------
    ValueError
        If they cannot be used, or do not match X and y.
    """
    X, y, sample_weight = given
    if X is None and y is None and sample_weight is None:
        return None
    if X is None or y is None:
        raise ValueError("X_val and y_val must be given together.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val was given, but early_stopping=False does not use it: set "
            "early_stopping=True, or leave X_val out."
        )
    try:
        X = check_rows(estimator, X)
        codes = labels.code(y)
        if len(codes) != X.shape[0]:
            raise ValueError(
                f"X_val has {X.shape[0]} rows, but y_val has {len(codes)}."
            )
        weights = check_weights(sample_weight, X.shape[0])
    except ValueError as error:
        raise ValueError(f"In X_val, y_val or sample_weight_val: {error}") from error
    return HeldOut(Data(X, codes, *weights), weighted=sample_weight is not None)


def warn_if_cut(n):
    """Warn that a search of scikit-learn may have cut X_val to the rows of a fold.

    Parameters
    ----------
    n : int
        Rows of X, and of X_val.
    """
    if within_cut_fit():
        warn(
            f"X_val has {n} rows, as many as X. A search, calibration or ensemble of "
            "scikit-learn slices every array that is as long as the full X, and so may "
            "have sliced X_val: drop one row of X_val and y_val.",
            UserWarning,
        )
