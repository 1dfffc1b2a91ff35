"""PairedMLPClassifier: validates, encodes, assembles, fits, predicts."""

import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skce.activations import get_activation
from skce.blocks import dense_if_small, merge_repeated_rows
from skce.growth import LEAST_ROWS, minimize_in_stages
from skce.hidden import get_hidden_activation
from skce.labels import class_frequencies, encode
from skce.network import Network
from skce.pairings import (
    DegeneratePairingWarning,
    pair,
    pairing_status,
    why_degenerate,
)
from skce.prediction import map_logits
from skce.solvers import NonFiniteObjectiveError
from skce.start import resumed_parameters, start_parameters, warn_of_scale
from skce.threads import workers
from skce.validation import (
    check_layer_sizes,
    check_parameters,
    check_rows,
    check_training_rows,
    check_weights,
    largest,
    with_unit_mean,
)

__all__ = ["PairedMLPClassifier"]

# Beyond this, alpha / sum(w) leaves nothing of the loss in the digits of the objective.
MAX_DECAY = 1e12


class PairedMLPClassifier(ClassifierMixin, BaseEstimator):
    """Multilayer perceptron with free choice of output activation and training loss.

    Minimises the mean loss of the rows plus an L2 term,

        1/S sum_i w_i rho(t_i, f(z_i)) + alpha / (2 S) |W|^2,    S = sum_i w_i,

    by scipy.optimize with exact gradients, where z are the logits of the last
    layer, f is the output `activation` and rho the `penalty`; biases are not
    penalised. Losses are computed on the logits, so that value and gradient are
    exact however large the logits are.

    Parameters
    ----------
    activation : {"identity", "logistic", "softmax", "sparsemax"} or Activation, \
            default="softmax"
        Activation of the output units. (That of the hidden units is
        `hidden_activation`.)
    penalty : {"natural", "least_squares", "cross_entropy", "binary_cross_entropy"} \
            or Penalty, default="natural"
        Training loss. "natural" is the natural loss of the activation: least
        squares for identity, binary cross-entropy for logistic, cross-entropy for
        softmax and the sparsemax loss for sparsemax. identity and sparsemax cannot
        be paired with a logarithmic penalty; logistic with cross_entropy can, but
        the pair is degenerate.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer. () has no hidden layer: the classifier is then
        (multinomial) logistic regression, one-vs-rest logistic regression or
        linear least squares, by the pair.
    hidden_activation : {"logistic", "tanh", "relu", "identity"} or \
            HiddenActivation, default="logistic"
        Activation of the hidden units.
    alpha : float, default=1e-4
        Strength of the L2 term, on the scale of MLPClassifier.
    solver : {"lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov"}, \
            default="lbfgs"
        Method of scipy.optimize.minimize. newton-cg, trust-ncg and trust-krylov use
        exact Hessian-vector products and are for tight optima; bfgs keeps a matrix
        of parameters x parameters and is for small networks.
    max_iter : int, default=1000
        Most iterations. In a growing sample, an iteration on a tenth of the rows
        counts as a tenth.
    max_fun : int, default=15000
        Most evaluations of the objective and of Hessian products together, in all
        stages.
    tol : float, default=1e-4
        The fit has converged when no component of the gradient is larger.
    init : {"glorot", "uniform"}, default="glorot"
        Start of the weights. "glorot": uniform on +-sqrt(6 / (fan_in + fan_out)),
        biases 0 (Glorot & Bengio 2010); without hidden units all 0. "uniform": all
        weights and biases uniform on (-1, 1), as in Dunne & Campbell.
    random_state : int, RandomState instance or None, default=None
        Of the start weights, and of the growing sample.
    growing_sample : {"auto", True, False}, default="auto"
        Whether to begin on random parts of the rows, a sixteenth, an eighth, and so
        on, stratified by class, each for as long as the loss of as many fresh rows
        falls; the last stage is always on all rows. "auto": from
        `skce.growth.LEAST_ROWS` = 32768 rows on. Not after a warm start. No part is
        larger than what can be copied in 64 MB.
    warm_start : bool, default=False
        Whether to start from `coefs_` and `intercepts_` of the previous fit, which
        must have had the same features, classes and layers.
    n_jobs : int or None, default=None
        Threads over blocks of rows, in fit and predict. None: as many as BLAS may use
        (OMP_NUM_THREADS, threadpoolctl and joblib's limits are obeyed); -1: all
        cores. The result has the same bits for any number.
    verbose : bool or int, default=False
        Whether to print a line an iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; 0 ... n_labels - 1 after a multilabel fit.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer, of X's dtype.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    pairing_ : Pairing
        The pair as resolved, with its `status`.
    loss_ : float
        The objective at the end, L2 term included (nats a row for the logarithmic
        penalties).
    loss_curve_ : list of float
        The objective after each iteration of the last stage, on all rows, which after
        a growing sample begins low.
    n_iter_ : int
        Iterations of the last stage; 0 if it began at a stationary point. Earlier
        stages count against `max_iter`, at most three quarters of it, so that less
        than `max_iter` does not mean convergence: see `solver_result_["success"]`.
    stages_ : list of Stage
        One `skce.growth.Stage` a stage, with its n_rows, n_iter, nfev, loss_curve and
        fresh_loss. The last is that on all rows, and without a growing sample the
        only one.
    solver_result_ : dict
        SciPy's record of how the last stage stopped: status, message, success, nit,
        nfev (evaluations of the objective with its gradient), nhev (Hessian products)
        and gradient_norm (the largest absolute component).
    n_layers_ : int
        Layers, inputs and outputs included.
    n_outputs_ : int
        Output units: one for two classes and element-wise activations, else one a
        class or label.
    out_activation_ : str
        Name of the output activation.
    n_features_in_ : int
        Features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    pairing_grid : All pairs as a grid for GridSearchCV.
    pairing_status : Whether a pair is natural, workable, degenerate or undefined.

    References
    ----------
    Dunne & Campbell (1997), "On the pairing of the softmax activation and
    cross-entropy penalty functions and the derivation of the softmax activation
    function".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skce import PairedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(
    ...     StandardScaler(),
    ...     PairedMLPClassifier("softmax", "least_squares", alpha=0.1, random_state=0),
    ... )
    >>> clf.fit(X, y).score(X, y) > 0.95
    True
    >>> clf[-1].pairing_
    <softmax x least_squares: workable>
    """

    def __init__(
        self,
        activation="softmax",
        penalty="natural",
        *,
        hidden_layer_sizes=(100,),
        hidden_activation="logistic",
        alpha=1e-4,
        solver="lbfgs",
        max_iter=1000,
        max_fun=15000,
        tol=1e-4,
        init="glorot",
        random_state=None,
        growing_sample="auto",
        warm_start=False,
        n_jobs=None,
        verbose=False,
    ):
        self.activation = activation
        self.penalty = penalty
        self.hidden_layer_sizes = hidden_layer_sizes
        self.hidden_activation = hidden_activation
        self.alpha = alpha
        self.solver = solver
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.init = init
        self.random_state = random_state
        self.growing_sample = growing_sample
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        try:
            elementwise = get_activation(self.activation).elementwise
            degenerate = pairing_status(self.activation, self.penalty) == "degenerate"
        except (ValueError, NotImplementedError):  # fit will say what is wrong
            return tags
        tags.classifier_tags.multi_label = elementwise
        tags.classifier_tags.poor_score = degenerate
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is computed as float32, everything else as float64.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0/1 indicators (multilabel) where the activation is
            element-wise.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight equals so many repetitions, and
            the order of the rows does not matter: to the last bit up to
            `skce.blocks.FEW_ROWS` rows, to rounding beyond. (A growing sample draws
            rows by their numbers, so that it leads to another start of its last
            stage, and from there perhaps to another minimum.)

        Returns
        -------
        self : PairedMLPClassifier

        Raises
        ------
        ValueError
            If a parameter, X, y or the weights cannot be used, or the objective
            overflows. An estimator that was fitted before is then as it was.
        """
        with _unchanged_on_failure(self):
            check_parameters(self)
            pairing = pair(self.activation, self.penalty)
            hidden_activation = get_hidden_activation(self.hidden_activation)
            hidden_sizes = check_layer_sizes(self.hidden_layer_sizes)
            warm = self.warm_start and hasattr(self, "coefs_")
            X, y = check_training_rows(self, X, y)
            labels = encode(y, pairing.activation)
            weights, total_weight = check_weights(sample_weight, X)
            X = dense_if_small(X)
            X, codes, weights = merge_repeated_rows(X, labels.codes, weights)
            weights = with_unit_mean(weights, X.dtype)
            network = Network(
                (X.shape[1], *hidden_sizes, labels.n_outputs),
                hidden_activation,
                pairing,
            )
            if pairing.status == "degenerate":
                warnings.warn(
                    why_degenerate(pairing), DegeneratePairingWarning, stacklevel=2
                )
            random_state = check_random_state(self.random_state)
            if warm:
                start = resumed_parameters(network, labels, self)
            else:
                start = start_parameters(
                    network,
                    init=self.init,
                    solver=self.solver,
                    random_state=random_state,
                )
                warn_of_scale(network, start, X, self.tol)
            solution, stages = self._minimize(
                network,
                start,
                (X, codes, weights),
                total_weight,
                random_state,
                grow=not warm and self._grows(X.shape[0]),
            )
            frequencies = class_frequencies(codes, weights, labels.n_outputs)
            constant = pairing.loss_of_constant(frequencies)
            moved = warm or not np.array_equal(solution.theta, start)
            remedy = solution.remedy or _why_stuck(solution, start, moved, constant)
            if remedy is not None:
                warnings.warn(
                    f"{pairing}: {self.solver} {remedy}.",
                    ConvergenceWarning,
                    stacklevel=2,
                )
            self._keep(network, labels, solution, X.dtype)
            self.stages_ = stages
        return self

    def _grows(self, n_rows):
        if isinstance(self.growing_sample, str):  # "auto"
            return n_rows >= LEAST_ROWS
        return bool(self.growing_sample)

    def _minimize(self, network, start, rows, total_weight, random_state, grow):
        X, *_ = rows
        decay = float(self.alpha) / total_weight
        if decay > MAX_DECAY:
            raise ValueError(
                f"alpha={self.alpha:g} over the sum of the weights, {total_weight:g}, "
                f"is more than {MAX_DECAY:g}: the L2 term leaves nothing of the loss. "
                "Lower alpha, or multiply sample_weight by a constant to a mean of 1."
            )
        try:
            with workers(X.shape[0] * network.n_parameters, self.n_jobs) as run:
                return minimize_in_stages(
                    network,
                    start,
                    rows,
                    decay=decay,
                    run=run,
                    random_state=random_state,
                    grow=grow,
                    max_iter=self.max_iter,
                    solver=self.solver,
                    tol=self.tol,
                    max_fun=self.max_fun,
                    verbose=self.verbose,
                )
        except NonFiniteObjectiveError as error:
            raise ValueError(
                f"The fit broke off: {error}. X reaches {largest(X):.3g} in absolute "
                f"value, as {X.dtype}: scale the features to mean 0 and variance 1 "
                "(StandardScaler), or raise alpha."
            ) from error

    def _keep(self, network, labels, solution, dtype):
        """Set the fitted attributes."""
        weights, biases = network.weights_and_biases(solution.theta)
        self.coefs_ = [np.ascontiguousarray(W.T, dtype=dtype) for W in weights]
        self.intercepts_ = [b.astype(dtype) for b in biases]
        self.classes_ = labels.classes
        self.pairing_ = network.pairing
        self.loss_ = solution.value
        self.loss_curve_ = solution.curve
        self.n_iter_ = solution.record["nit"]
        self.solver_result_ = solution.record
        self.n_layers_ = len(network.layer_sizes)
        self.n_outputs_ = network.n_outputs
        self.out_activation_ = network.pairing.activation.name
        self._multilabel = labels.multilabel
        self._hidden_activation = network.hidden_activation

    def predict(self, X):
        """The class of each row, or the labels where P > 1/2 after a multilabel fit.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class of the largest probability; the first of them in a tie.
        """
        probabilities = self.predict_proba(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        """Class probabilities; each row sums to 1.

        softmax and sparsemax outputs are taken as they are, logistic outputs are
        divided by their sum (in the logarithm), identity outputs are projected on
        the simplex. After a multilabel fit, the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        probabilities = self._probabilities(X, "probabilities", "marginals")
        if self._multilabel:
            # scikit-learn's contract of such an array: strictly between 0 and 1
            zero, one = np.array([0, 1], dtype=probabilities.dtype)
            inside = np.nextafter(zero, one), np.nextafter(one, zero)
            np.clip(probabilities, *inside, out=probabilities)
        return probabilities

    def predict_log_proba(self, X):
        """Natural logarithms of the class probabilities, from the logits.

        Exact where the probability itself underflows; -inf where that of sparsemax or
        identity is 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray, of the shape of `predict_proba`
        """
        return self._probabilities(X, "log_probabilities", "log_marginals")

    def _probabilities(self, X, of_classes, of_units):
        check_is_fitted(self)
        activation = self.pairing_.activation
        if self._multilabel:
            return self._map_logits(X, lambda z: getattr(activation, of_units)(z)[1])
        if self.n_outputs_ == 1:
            return self._map_logits(
                X, lambda z: np.concatenate(getattr(activation, of_units)(z))
            )
        return self._map_logits(X, getattr(activation, of_classes))

    def decision_function(self, X):
        """The logits z.

        For two classes one column: z (logistic) or z - 1/2 (identity) of the only
        unit, or the difference of the two logits (softmax, sparsemax); it is
        positive where class 1 is predicted. After a multilabel fit, z or z - 1/2 of
        each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), (n_samples, n_classes) or \
                (n_samples, n_labels)
        """
        check_is_fitted(self)
        if self._multilabel or self.n_outputs_ == 1:
            decision = self._map_logits(X, self.pairing_.activation.decision)
        elif self.n_outputs_ == 2:
            decision = self._map_logits(X, lambda z: z[1:] - z[:1])
        else:
            decision = self._map_logits(X, lambda z: z)
        return decision if self._multilabel or decision.shape[1] > 1 else decision[:, 0]

    def predict_outputs(self, X):
        """The outputs y = f(z) of the network, before they are made probabilities.

        What a least-squares fit of logistic or identity units estimates: their rows
        need not sum to 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs_)
            One column for two classes and element-wise activations: the output
            for `classes_[1]`.
        """
        check_is_fitted(self)
        return self._map_logits(X, self.pairing_.activation.value)

    def _map_logits(self, X, function):
        """`function` of the logits (q, n) of the rows of X, as (n, columns)."""
        X = check_rows(self, X)
        layer_sizes = (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_))
        network = Network(layer_sizes, self._hidden_activation, self.pairing_)
        return map_logits(
            network, self.coefs_, self.intercepts_, X, function, self.n_jobs
        )


@contextmanager
def _unchanged_on_failure(estimator):
    """Put the estimator's attributes back if the body fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def _why_stuck(solution, start, moved, constant):
    """What a stop within `tol` has missed, where that is certain; else None.

    `moved` says that the fit went on from another, or ended where it did not start;
    `constant` is the objective of the class frequencies as constant outputs: with all
    weights 0 and the right biases every network reaches it.
    """
    # a start at 0 can be the very optimum, where the features say nothing
    slope = solution.record["gradient_norm"]
    if solution.record["nit"] == 0 and not moved and (start.any() or slope > 1e-12):
        return (
            "found the start to be stationary within tol and changed nothing, as the "
            "outputs or the hidden units are saturated, or X is tiny: scale the "
            "features to mean 0 and variance 1 (StandardScaler), or lower tol"
        )
    if solution.value > constant + 0.02 * abs(constant):
        return (
            f"is stuck where the penalty is flat: its objective, "
            f"{solution.value:.4g}, is above that of the class frequencies as constant "
            f"outputs, {constant:.4g}. Take penalty='natural', which is nowhere flat, "
            "or another random_state"
        )
    return None
