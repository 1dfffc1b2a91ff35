"""Where a fit starts: its first parameters, and warnings about the ground there."""

import warnings

import numpy as np
from sklearn.utils import check_random_state

from skce._fitting.solvers import SOLVERS
from skce._inputs.validation import largest
from skce._network.executors import QUIET
from skce._network.kernels import Layers, Workspace

__all__ = [
    "ScaleWarning",
    "constant_start",
    "new_starts",
    "resumed_parameters",
    "start_parameters",
    "warn_of_scale",
]


class ScaleWarning(UserWarning):
    """The features are so large or so small that the network will hardly learn.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from skce import PairedMLPClassifier, ScaleWarning
    >>> X = 1e6 * np.random.default_rng(0).normal(size=(40, 3))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     clf = PairedMLPClassifier(max_iter=5, random_state=0).fit(X, X[:, 0] > 0)
    >>> any(issubclass(w.category, ScaleWarning) for w in caught)
    True
    """


def given_parameters(network, coefs, intercepts):
    """The flat float64 theta of given weights and biases.

    Parameters
    ----------
    network : Network
    coefs, intercepts : list of array-like of shape (n_in, n_out) and (n_out,)
        One a layer, as `coefs_` and `intercepts_`.

    Raises
    ------
    ValueError
        If one is missing, a shape is wrong or a number is not finite.
    """
    if coefs is None or intercepts is None:
        raise ValueError("coefs_init and intercepts_init must be given together.")
    coefs = [np.asarray(coef, dtype=np.float64) for coef in coefs]
    intercepts = [np.asarray(b, dtype=np.float64) for b in intercepts]
    wanted = [(n_in, n_out) for n_out, n_in in network.weight_shapes]
    wanted_biases = [(n_out,) for _, n_out in wanted]
    shapes = [coef.shape for coef in coefs]
    if shapes != wanted or [b.shape for b in intercepts] != wanted_biases:
        raise ValueError(
            f"coefs_init and intercepts_init have the shapes {shapes} and "
            f"{[b.shape for b in intercepts]}; for this network they must be {wanted} "
            f"and {wanted_biases}."
        )
    if not all(np.isfinite(array).all() for array in (*coefs, *intercepts)):
        raise ValueError(
            "coefs_init or intercepts_init has a value that is not finite."
        )
    return network.pack([coef.T for coef in coefs], intercepts)


def new_starts(estimator, network, labels, X, random_state, *, given, warm, grow):
    """The starts of a fit, `estimator.n_init` of them.

    Parameters
    ----------
    estimator : PairedMLPClassifier
    network : Network
    labels : Labels
    X : ndarray or CSR of shape (n, p)
    random_state : RandomState
    given : tuple
        coefs_init and intercepts_init, the first start, or None twice.
    warm : bool
        Whether the first is where the estimator's previous fit ended.
    grow : bool
        Whether the others begin on a growing sample.

    Returns
    -------
    starts : list of (theta, RandomState, bool)
        The start, the source of its growing sample, and whether there is one.
    """
    n = estimator.n_init
    thetas = []
    if given != (None, None):
        thetas.append(given_parameters(network, *given))
    elif warm:
        thetas.append(resumed_parameters(network, labels, estimator))
    warm = bool(thetas)
    while len(thetas) < n:
        thetas.append(
            start_parameters(
                network,
                init=estimator.init,
                solver=estimator.solver,
                random_state=random_state,
            )
        )
    if not warm:
        warn_of_scale(network, thetas[0], X, estimator.tol)
    states = [random_state]
    if n > 1:  # one each, as they may run side by side
        seeds = random_state.randint(np.iinfo(np.int32).max, size=n)
        states = [np.random.RandomState(seed) for seed in seeds]
    grows = [grow and not (warm and i == 0) for i in range(n)]
    return list(zip(thetas, states, grows, strict=True))


def start_parameters(network, *, init, solver, random_state):
    """A new flat float64 theta, (n_parameters,).

    Parameters
    ----------
    network : Network
    init : {"glorot", "uniform"}
        "glorot": weights uniform on +-gain sqrt(6 / (fan_in + fan_out)), biases 0
        (Glorot & Bengio 2010), and all 0 without hidden units, where there is no
        symmetry to break. "uniform": all uniform on (-1, 1), as in the paper.
    solver : str
        A name in `SOLVERS`, for the memory that it needs.
    random_state : int, RandomState instance or None

    Raises
    ------
    ValueError
        If the parameters do not fit into memory.
    """
    n_parameters = network.n_parameters
    try:
        np.empty((n_parameters, n_parameters if SOLVERS[solver].dense_hessian else 1))
    except (MemoryError, ValueError, OverflowError) as error:
        raise ValueError(
            f"hidden_layer_sizes={network.layer_sizes[1:-1]} with solver={solver!r} "
            "asks for more memory than there is: take fewer units, or solver='lbfgs' "
            "if it is not."
        ) from error
    random_state = check_random_state(random_state)
    if init == "uniform":
        weights = [random_state.uniform(-1, 1, s) for s in network.weight_shapes]
        biases = [random_state.uniform(-1, 1, n) for n in network.layer_sizes[1:]]
        return network.pack(weights, biases)
    weights = [np.zeros(shape) for shape in network.weight_shapes]
    if len(weights) > 1:
        for W in weights:
            bound = network.hidden_activation.gain * np.sqrt(6 / sum(W.shape))
            W[:] = random_state.uniform(-bound, bound, W.shape)
        weights[-1][:] *= network.pairing.activation.start_gain
    return network.pack(weights, [np.zeros(n) for n in network.layer_sizes[1:]])


def constant_start(network, start, frequencies):
    """`start` with outputs that are the class frequencies, (q,), for all rows; or None.

    The weights of the last layer are 0 and its biases the logits of the frequencies;
    the hidden layers are left as they are.
    """
    logits = network.pairing.activation.logits_of(frequencies)
    if logits is None:
        return None
    weights, biases = network.weights_and_biases(start)
    weights = [*weights[:-1], np.zeros_like(weights[-1])]
    return network.pack(weights, [*biases[:-1], logits])


def resumed_parameters(network, labels, estimator):
    """The flat float64 theta of a fitted estimator, to go on from.

    Raises
    ------
    ValueError
        If it was fitted to other features, layers, classes or labels.
    """
    weights = [coef.T for coef in estimator.coefs_]
    shapes = [weight.shape for weight in weights]
    same_kind = estimator._multilabel == labels.multilabel
    same_labels = same_kind and np.array_equal(estimator.classes_, labels.classes)
    if same_labels and shapes == network.weight_shapes:
        return network.pack(weights, estimator.intercepts_)
    noun = {False: "classes", True: "labels"}
    layers = (shapes[0][1], *(n_out for n_out, _ in shapes))
    raise ValueError(
        "warm_start=True needs the features, classes and layers of the previous fit: "
        f"that had {noun[estimator._multilabel]} {estimator.classes_} and layers "
        f"{layers}, this one has {noun[labels.multilabel]} {labels.classes} and layers "
        f"{network.layer_sizes}. Set warm_start=False to start anew."
    )


def warn_of_scale(network, start, X, tol, n_rows=1000, slope=1e-4):
    """Warn of features that leave the first layer without a slope.

    So large that most of its units start where the activation is flat, or so small
    that its gradient, which is proportional to them, hardly exceeds `tol`.
    """
    most = largest(X)
    advice = (
        "scale the features to mean 0 and variance 1, for instance with "
        "make_pipeline(StandardScaler(), PairedMLPClassifier())"
    )
    if 0 < most < 30 * tol:
        warnings.warn(
            f"X is nowhere larger than {most:.3g} in absolute value, so that the "
            f"gradient in the weights of the first layer hardly exceeds tol={tol:g}, "
            f"and they will hardly be trained: {advice}, or lower tol.",
            ScaleWarning,
            stacklevel=6,
        )
    if len(network.layer_sizes) == 2 or not network.hidden_activation.saturates:
        return
    sample = X[:: max(1, X.shape[0] // n_rows)]
    with np.errstate(**QUIET):
        parameters = Layers(network, start.astype(X.dtype))
        rows = Workspace(network, X.dtype).rows(sample.shape[0])
        network.forward(parameters, sample, rows)
        # "not at least": an overflow counts as saturated
        steep = network.core.derivative(rows.hidden[0]) >= slope
        saturated = 1 - np.mean(steep)
    if saturated > 0.5:
        warnings.warn(
            f"{saturated:.0%} of the first hidden units start saturated (slope below "
            f"{slope:g}), as X reaches {most:.3g} in absolute value, and will "
            f"hardly learn: {advice}.",
            ScaleWarning,
            stacklevel=6,
        )
