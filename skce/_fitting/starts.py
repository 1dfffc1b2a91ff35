"""Start parameters, and warnings about badly scaled features."""

import numpy as np
from sklearn.utils import check_random_state

from skce._fitting.problem import Start
from skce._network.executors import QUIET
from skce._network.kernels import Network, Workspace
from skce._network.parameters import Layers, are_floats, described, shapes_of
from skce._network.standardization import column_moments
from skce._support.warn import warn

__all__ = [
    "ScaleWarning",
    "given_starts",
    "new_starts",
    "resumed_parameters",
    "start_parameters",
    "warn_of_scale",
    "warn_of_validation_scale",
]

# X_val is on another scale if, of so many rows, a mean is further from that of X than
# so many standard deviations, or the median ratio of the deviations is beyond this
MIN_VALIDATION_ROWS, MAX_GAP, MAX_RATIO = 10, 3, 10

# Slope below which a unit counts as saturated
MIN_SLOPE = 1e-4

# Standard deviation of small features, and what the objective may pay for the use of
# one, see `_why_strong_l2`. Standardised iris, wine, breast cancer and digits, times a
# number that makes it 1, leave a network no better than the class frequencies; at 0.5
# it loses much
SMALL, MAX_PRICE = 0.1, 1.0

# Mean over deviation of a feature, of which float32 leaves three digits
MAX_RATIO_OF_FLOAT32 = 1e4


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
    ...     clf = PairedMLPClassifier(standardize=False, hidden_activation="tanh")
    ...     clf = clf.fit(X, X[:, 0] > 0)
    >>> any(issubclass(w.category, ScaleWarning) for w in caught)
    True
    """


def given_parameters(network, coefs, intercepts, skip_coef):
    """Return the flat float64 theta of given weights and biases.

    Parameters
    ----------
    network : Network
    coefs, intercepts : list of array-like of shape (n_in, n_out) and (n_out,)
        One per layer, as `coefs_` and `intercepts_`.
    skip_coef : array-like of shape (p, q) or None
        As `skip_coef_`.

    Raises
    ------
    ValueError
        If one is missing, a shape is wrong or a number is not finite.
    """
    if coefs is None or intercepts is None:
        raise ValueError(
            "coefs_init and intercepts_init must be given together, and with "
            "skip_layer=True skip_coef_init too."
        )
    coefs = [np.asarray(coef, dtype=np.float64) for coef in coefs]
    intercepts = [np.asarray(b, dtype=np.float64) for b in intercepts]
    if skip_coef is not None:
        skip_coef = np.asarray(skip_coef, dtype=np.float64)
    *shapes, skip_shape = shapes_of(coefs, intercepts, skip_coef)
    *wanted, wanted_skip = network.coef_shapes
    if shapes != wanted:
        raise ValueError(
            f"coefs_init and intercepts_init have the shapes {shapes[0]} and "
            f"{shapes[1]}; for this network they must be {wanted[0]} and {wanted[1]}."
        )
    if skip_shape != wanted_skip:
        raise ValueError(
            f"skip_coef_init is {described(skip_shape)}; for this network it must be "
            f"{described(wanted_skip)}. (It belongs to skip_layer=True with hidden "
            "layers.)"
        )
    theta = network.pack_coefs(coefs, intercepts, skip_coef)
    if not np.isfinite(theta).all():
        raise ValueError(
            "coefs_init, intercepts_init or skip_coef_init has a value that is not "
            "finite."
        )
    if network.free is not None and theta[~network.free].any():
        raise ValueError(
            f"The start weights must be 0 where those of {network.pairing.activation!r}"
            " stay 0: see its docstring."
        )
    return theta


def given_starts(estimator, problem, given, random_state):
    """Return the thetas to start from that are not random: none, one or several.

    Parameters
    ----------
    estimator : BasePairedMLP
    problem : Problem
    given : tuple
        coefs_init, intercepts_init and skip_coef_init, or Nones. Without them and with
        `warm_start`, it is where the previous fit ended; with `average_starts`, of each
        of its members, up to `n_init`.
    random_state : RandomState
        Draws the weights of hidden units that the previous fit did not have.
    """
    if any(part is not None for part in given):
        return [problem.for_solver(given_parameters(problem.network, *given))]
    if estimator.warm_start and hasattr(estimator, "coefs_"):
        if problem.network.skip_layer and len(estimator.coefs_) == 1:
            thetas = [_with_hidden_units(estimator, problem, random_state)]
        else:
            thetas = resumed_parameters(problem.network, problem.labels, estimator)
        return [problem.for_solver(theta) for theta in thetas[: estimator.n_init]]
    return []


def _with_hidden_units(estimator, problem, random_state):
    """Return theta with the logits of a fitted estimator that has no hidden layers.

    Its coefficients are those of the skip-layer connections, and the outputs' weights
    of the hidden units are 0. Their own weights are random: with weights of 0 on both
    sides, the gradient in them is 0.
    """
    network = problem.network
    sizes = network.layer_sizes[0], network.n_outputs
    linear = Network(sizes, network.hidden_activation, network.pairing)
    found, *_ = resumed_parameters(linear, problem.labels, estimator)
    (W,), (b,) = linear.weights_and_biases(found)
    theta = start_parameters(network, init=estimator.init, random_state=random_state)
    weights, biases = network.weights_and_biases(problem.for_rows(theta))
    weights[-1][...], biases[-1][...] = 0, b
    return network.pack(weights, biases, W)


def _layers(shapes, bias_shapes, skip_shape):
    """Describe the layers of some weights and biases."""
    sizes = [n for shape in shapes for n in shape[:1]]
    sizes += [n for shape in shapes[-1:] for n in shape[1:]]
    skip = "" if skip_shape is None else f" and a skip_coef_ {skip_shape}"
    return f"layers {tuple(sizes)} with biases {bias_shapes}{skip}"


def new_starts(estimator, problem, given, grow, random_state):
    """Make the starts of a fit, `estimator.n_init` of them.

    Parameters
    ----------
    estimator : BasePairedMLP
    problem : Problem
    given : list of ndarray of shape (n_parameters,)
        Of `given_starts`; they come first.
    grow : bool or str
        How the others begin; see `Start`.
    random_state : RandomState

    Returns
    -------
    starts : list of Start
    """
    network, n = problem.network, estimator.n_init
    thetas, n_given = [*given], len(given)
    while len(thetas) < n:
        theta = start_parameters(
            network,
            init=estimator.init,
            random_state=random_state,
        )
        if network.pairing.activation.ordered and estimator.init == "glorot":
            problem.set_frequencies(theta)
        thetas.append(theta)
    states = [random_state]
    if n > 1:  # one each, as they may run side by side
        seeds = random_state.randint(np.iinfo(np.int32).max, size=n)
        states = [np.random.RandomState(seed) for seed in seeds]
    return [
        Start(theta, state, grow if i >= n_given else False, i < n_given)
        for i, (theta, state) in enumerate(zip(thetas, states, strict=True))
    ]


def start_parameters(network, *, init, random_state):
    """Draw a new flat float64 theta, (n_parameters,).

    Parameters
    ----------
    network : Network
    init : {"glorot", "uniform"}
        "glorot": weights uniform on +-gain sqrt(6 / (fan_in + fan_out)), biases 0
        (Glorot & Bengio 2010; thresholds of ordered classes at the quantiles of their
        frequencies), with a gain that preserves the variance from layer to
        layer; for logistic units, those of the tanh units that they are run as. All 0
        without hidden units, and of skip-layer connections, where there is no symmetry
        to break. "uniform": all uniform on (-1, 1), as in the paper.
    random_state : int, RandomState instance or None
    """
    random_state = check_random_state(random_state)
    if init == "uniform":
        weights = [random_state.uniform(-1, 1, s) for s in network.weight_shapes]
        biases = [random_state.uniform(-1, 1, n) for n in network.layer_sizes[1:]]
        theta = network.pack(weights, biases)
        skip = network.skip_weights(theta)
        skip[...] = random_state.uniform(-1, 1, skip.shape)
        return _only_free(theta, network)
    theta = np.zeros(network.n_parameters)
    matrices = network.unpack(theta)
    if len(matrices) > 1:
        gain = network.core.gain
        for layer, (A, shape) in enumerate(
            zip(matrices, network.weight_shapes, strict=True)
        ):
            bound = (gain if layer > 0 else 1.0) * np.sqrt(6 / sum(shape))
            A[:, :-1] = random_state.uniform(-bound, bound, shape)
        matrices[-1][:, :-1] *= network.pairing.activation.start_gain
    return _only_free(theta, network)


def _only_free(theta, network):
    """Set the parameters that are not fitted to 0."""
    if network.free is not None:
        theta[~network.free] = 0
    return theta


def resumed_parameters(network, labels, estimator):
    """Return the flat float64 thetas of a fitted estimator, to continue from.

    One, or those of its members, where it is to average starts again.

    Raises
    ------
    ValueError
        If it was fitted to other features, layers, classes or labels.
    """
    parameters = estimator.coefs_, estimator.intercepts_, estimator.skip_coef_
    if not are_floats(*parameters):
        raise ValueError(
            "warm_start=True, but coefs_, intercepts_ or skip_coef_ is no array of "
            "floats, or list of them: set warm_start=False to start afresh."
        )
    shapes, wanted = shapes_of(*parameters), network.coef_shapes
    same_kind = estimator._labels.multilabel == labels.multilabel
    same_labels = same_kind and np.array_equal(estimator.classes_, labels.classes)
    if same_labels and shapes == wanted:
        members = estimator._members(network)
        thetas = [network.pack_coefs(*parameters) for parameters in members]
        if not np.isfinite(thetas).all():
            raise ValueError(
                "warm_start=True, but coefs_, intercepts_ or skip_coef_ has a value "
                "that is not finite: set warm_start=False to start afresh."
            )
        return thetas
    noun = {False: "classes", True: "labels"}
    raise ValueError(
        "warm_start=True needs the features, classes and layers of the previous fit: "
        f"that had {noun[estimator._labels.multilabel]} {estimator.classes_} and "
        f"{_layers(*shapes)}, this one has {noun[labels.multilabel]} {labels.classes} "
        f"and {_layers(*wanted)}. Set warm_start=False to start afresh."
    )


def warn_of_scale(estimator, problem, theta):
    """Warn of features that the first layer will hardly learn from, by their scale.

    Returns whether `standardize=True` is the remedy.
    """
    advice = "set standardize=True, or scale the features to mean 0 and variance 1"
    trouble = None
    if estimator.standardize:
        advice = "set init='glorot', or scale the features down"
    else:
        tol = estimator.tol
        trouble = _why_small_gradient(problem, tol) or _why_strong_l2(problem)
    trouble = trouble or _why_saturated(problem, theta)
    if trouble is not None:
        warn(f"{trouble}: {advice}.", ScaleWarning)
    _warn_of_precision(problem)
    return trouble is not None and not estimator.standardize


def _why_small_gradient(problem, tol):
    """Describe features so small that the gradient hardly exceeds tol."""
    largest = problem.rows.largest
    if not 0 < largest < 30 * tol:
        return None
    return (
        f"X is nowhere larger than {largest:.3g} in absolute value, so that the "
        f"gradient in the weights of the first layer hardly exceeds tol={tol:g}, and "
        "they will hardly be trained"
    )


def _why_strong_l2(problem):
    """Describe features that need weights that the L2 term forbids.

    To change a logit by 1 over a standard deviation s of a feature, one layer needs a
    weight of 1/s, for which the objective pays l2 / (2 s^2); weights of both layers
    whose products sum to 1/s are cheaper, l2 / s at least.
    """
    if problem.l2 == 0:
        return None
    size = column_moments(problem.rows.sample).scale
    price = problem.l2 / (size if problem.network.has_hidden_units else 2 * size**2)
    if np.median(size) > SMALL or np.median(price) <= MAX_PRICE:
        return None
    return (
        f"The standard deviation of half of the features is {np.median(size):.2g} or "
        "less: these features will hardly be used, as they would need weights that are "
        f"too large for the L2 term of alpha={problem.alpha:g}"
    )


def _why_saturated(problem, theta):
    """Describe first units of which most start where the activation is flat."""
    network, sample = problem.network, problem.rows.sample
    if not (network.has_hidden_units and network.hidden_activation.saturates):
        return None
    with np.errstate(**QUIET):
        parameters = Layers(network, problem.for_rows(theta).astype(sample.dtype))
        buffers = Workspace(network, sample.dtype).buffers(sample.shape[0])
        network.forward(parameters, sample, buffers)
        # "not at least": an overflow counts as saturated
        steep = network.core.derivative(buffers.kept[0]) >= MIN_SLOPE
        saturated = 1 - np.mean(steep)
    if saturated <= 0.5:
        return None
    return (
        f"{saturated:.0%} of the first hidden units start saturated (slope below "
        f"{MIN_SLOPE:g}), as X reaches {problem.rows.largest:.3g} in absolute value, "
        "and will hardly learn"
    )


def _warn_of_precision(problem):
    """Warn of features whose mean leaves few digits of their deviations."""
    found = problem.standardization
    if found is None or problem.rows.dtype != np.float32:
        return
    varies = found.scale != 1
    ratios = np.where(varies, np.abs(found.mean) / found.scale, 0)
    j = int(ratios.argmax())
    if ratios[j] > MAX_RATIO_OF_FLOAT32:
        warn(
            f"X is float32, in which column {j} has mean {found.mean[j]:.3g} and a "
            f"standard deviation of {found.scale[j]:.3g}: few digits of its "
            "differences are left. Give X as float64, or subtract the mean before the "
            "conversion to float32.",
            ScaleWarning,
        )


def warn_of_validation_scale(problem):
    """Warn of X_val that is not scaled as X is: it did not go through the pipeline."""
    X_val = problem.validation.data.X
    if X_val.shape[0] < MIN_VALIDATION_ROWS:
        return
    training, validation = column_moments(problem.rows.sample), column_moments(X_val)
    size, size_val = training.deviation, validation.deviation
    vary = (size > 0) & (size_val > 0)
    if not vary.any():
        return
    # a few rows of a rare feature may have many of its values
    widest = np.maximum(size, size_val)
    gaps = np.abs(validation.mean - training.mean)[vary] / widest[vary]
    ratio = np.median(size_val[vary] / size[vary])
    if gaps.max() <= MAX_GAP and 1 / MAX_RATIO <= ratio <= MAX_RATIO:
        return
    j = np.flatnonzero(vary)[np.argmax(gaps)]
    warn(
        f"X_val is on another scale than X: column {j} has mean "
        f"{validation.mean[j]:.3g} and standard deviation {size_val[j]:.3g}, in X "
        f"{training.mean[j]:.3g} and {size[j]:.3g}. If X is scaled, X_val must be "
        "scaled alike. In a pipeline that takes sklearn.set_config("
        "enable_metadata_routing=True), clf.set_fit_request(X_val=True, y_val=True) "
        'and Pipeline(..., transform_input=["X_val"]); or leave the scaling to '
        "standardize=True, without a scaler.",
        ScaleWarning,
    )
