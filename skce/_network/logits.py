"""Functions of the logits of many rows, block by block."""

import numpy as np

from skce._network.blocks import block_rows, row_slices, shares
from skce._network.executors import QUIET, with_workers
from skce._network.heads import ArrayOperations, head_of
from skce._network.kernels import matmul
from skce._network.rows import largest

__all__ = [
    "NOT_FINITE",
    "argmax",
    "check_finite",
    "log_mean",
    "log_probabilities",
    "logarithms_of",
    "map_logits",
    "mean",
    "overflow",
]

NOT_FINITE = (
    "X has NaN or infinite values, which scikit-learn does not look for while "
    "assume_finite=True: impute them (SimpleImputer), or drop these rows."
)


def map_logits(network, members, X, dtype, function, n_jobs):
    """Apply a function to the logits of X.

    Parameters
    ----------
    network : Network
    members : list of tuple
        coefs_, intercepts_ and skip_coef_ of one network, or of each of several. They
        are used as they are, without copies if they have that dtype, which would take
        longer than the prediction of a row.
    X : ndarray or CSR of shape (n, p)
    dtype : dtype
        In which the logits are computed.
    function : callable
        From logits (q, n), an argument for each member, to (columns, n); treats each
        row by itself.
    n_jobs : int or None

    Returns
    -------
    result : ndarray of shape (n, columns)
        Of that dtype, or intp for indices.

    Raises
    ------
    ValueError
        If a weight, a bias or a logit is not finite.
    """
    prepared = [_columns(*parameters, dtype) for parameters in members]
    *hidden_sizes, n_outputs = network.layer_sizes[1:]
    slices = row_slices(X.shape[0], block_rows(X.shape[0], network))
    if not isinstance(X, np.ndarray):
        for parameters in members:
            check_finite(*parameters)

    def logits_of(block, k, buffers, z):
        weights, biases, skip = prepared[k]
        y = block.T
        layers = zip(weights, biases, (*buffers, z), strict=True)
        for layer, (W, b, out) in enumerate(layers):
            if layer > 0:
                network.hidden_activation.apply(y)
            y = matmul(W, y, out)
            y += b
            # each row meets all weights: one that is not finite leaves nothing finite
            if not np.isfinite(y[:, 0]).all():
                check_finite(*members[k])
        if skip is not None:
            y += matmul(skip, block.T)
        if not np.isfinite(y).all():
            check_finite(*members[k])
            raise ValueError(overflow(X))
        return y

    def of_block(block, buffers, outputs):
        logits = [logits_of(block, k, buffers, z) for k, z in enumerate(outputs)]
        result = function(*logits).T
        # a user-defined function may widen it
        return result if result.dtype == np.intp else result.astype(dtype, copy=False)

    def of_share(share):
        kept = {}  # the blocks of a cut have two sizes
        with np.errstate(**QUIET):
            for rows in share:
                block = X[rows].astype(dtype, copy=False)
                n = block.shape[0]
                if n not in kept:
                    kept[n] = (
                        [np.empty((size, n), dtype=dtype) for size in hidden_sizes],
                        [np.empty((n_outputs, n), dtype=dtype) for _ in members],
                    )
                yield rows, of_block(block, *kept[n])

    def all_rows(run):
        if len(slices) == 1:
            return np.ascontiguousarray(next(of_share(slices))[1])
        like = function(*[np.zeros((n_outputs, 1), dtype=dtype)] * len(members))
        kept = np.intp if like.dtype == np.intp else dtype
        result = np.empty((X.shape[0], like.shape[0]), dtype=kept)

        def keep(share):
            for rows, part in of_share(share):
                result[rows] = part

        run(keep, shares(slices))
        return result

    work = X.shape[0] * network.n_parameters * len(members)
    return with_workers(work, n_jobs, all_rows)


def _columns(coefs, intercepts, skip_coef, dtype):
    """Return weights (n_out, n_in), biases (n_out, 1) and skip weights or None."""
    weights = [W.T.astype(dtype, copy=False) for W in coefs]
    biases = [b[:, np.newaxis].astype(dtype, copy=False) for b in intercepts]
    skip = None if skip_coef is None else skip_coef.T.astype(dtype, copy=False)
    return weights, biases, skip


def mean(arrays):
    """Return the mean of arrays, or of tensors of a graph, summed in their order."""
    first, *others = arrays
    if not others:
        return first
    total = first
    for other in others:
        total = total + other
    return total / float(len(arrays))


def log_mean(logarithms):
    """Return the logarithm of the mean of numbers, exact also where that is about 1.

    With m the largest logarithm it is m + log1p(mean of expm1(l - m)).
    """
    if len(logarithms) == 1:
        return logarithms[0]
    top = np.maximum.reduce(logarithms)
    at = np.where(np.isneginf(top), 0, top)  # of -inf alone it is -inf
    return at + np.log1p(mean([np.expm1(each - at) for each in logarithms]))


def check_finite(coefs, intercepts, skip_coef):
    """Raise a ValueError if a weight or a bias is not finite."""
    arrays = *coefs, *intercepts, 0.0 if skip_coef is None else skip_coef
    if not all(np.isfinite(values).all() for values in arrays):
        raise ValueError(
            "coefs_, intercepts_ or skip_coef_ has a value that is not finite: fit "
            "again, or restore them."
        )


def logarithms_of(labels, activation):
    """Return the function from logits to the logarithms of (mean) probabilities."""
    head, f = head_of(labels), ArrayOperations(activation)

    def logarithms(*logits):
        log_p = log_mean([head.log_probabilities(f, z) for z in logits])
        if labels.multilabel:  # `predict_proba` is nowhere 0
            return log_p
        if log_p.min() > np.log(np.finfo(log_p.dtype).tiny):  # nor here
            return log_p
        p = mean([head.probabilities(f, z) for z in logits])
        return np.where(p == 0, -np.inf, log_p)

    return logarithms


def log_probabilities(network, labels, theta, X):
    """Compute what `predict_log_proba` does, for rows that need no validation.

    Parameters
    ----------
    network : Network
    labels : Labels
    theta : ndarray of shape (n_parameters,)
        Of the network on X itself.
    X : ndarray or CSR of shape (n, p)
        float64 or float32, the dtype of the logits.

    Returns
    -------
    log_probabilities : ndarray of shape (n, n_classes) or (n, n_labels)
    """
    function = logarithms_of(labels, network.pairing.activation)
    weights, biases = network.weights_and_biases(theta)
    skip = network.skip_weights(theta).T if network.skip_layer else None
    parameters = [W.T for W in weights], biases, skip
    return map_logits(network, [parameters], X, X.dtype, function, n_jobs=None)


def argmax(p):
    """Index of the largest of each column, (1, n)."""
    return p.argmax(axis=0)[np.newaxis]


def overflow(X):
    """Return the error text for logits that are not finite."""
    if not np.isfinite(largest(X)):
        return NOT_FINITE
    return (
        f"The network overflows: X reaches {largest(X):.3g} in absolute value "
        f"(dtype {X.dtype}). Scale X in the same way as the training data."
    )
