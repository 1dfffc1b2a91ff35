"""Predictions: functions of the logits of many rows, block by block."""

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skce._inputs.labels import Labels, as_labels
from skce._inputs.validation import check_rows
from skce._network.blocks import block_rows, row_slices, shares
from skce._network.executors import QUIET, with_workers
from skce._network.heads import ArrayOperations, head_of
from skce._network.kernels import Network, matmul
from skce._network.parameters import are_floats, described, shapes_of
from skce._network.rows import largest
from skce._support.copies import shallow_copy
from skce.losses.pairings import Pairing
from skce.uncertainty._laplace import moderate

__all__ = ["NOT_FINITE", "Predictions"]

NOT_FINITE = (
    "X has NaN or infinite values, which scikit-learn does not look for while "
    "assume_finite=True: impute them (SimpleImputer), or drop these rows."
)


def _map_logits(network, parameters, X, dtype, function, n_jobs):
    """Apply a function to the logits of X.

    Parameters
    ----------
    network : Network
    parameters : tuple
        coefs_, intercepts_ and skip_coef_. They are used as they are, without copies if
        they have that dtype, which would take longer than the prediction of a row.
    X : ndarray or CSR of shape (n, p)
    dtype : dtype
        In which the logits are computed.
    function : callable
        From logits (q, n) to (columns, n); treats each row by itself.
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
    coefs, intercepts, skip_coef = parameters
    weights = [W.T.astype(dtype, copy=False) for W in coefs]
    biases = [b[:, np.newaxis].astype(dtype, copy=False) for b in intercepts]
    if skip_coef is not None:
        skip = skip_coef.T.astype(dtype, copy=False)
    slices = row_slices(X.shape[0], block_rows(X.shape[0], network))
    if not isinstance(X, np.ndarray):
        _check_finite(*parameters)

    def of_block(block, buffers):
        y = block.T
        for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
            if layer > 0:
                network.hidden_activation.apply(y)
            y = matmul(W, y, buffers[layer])
            y += b
            # each row meets all weights: one that is not finite leaves nothing finite
            if not np.isfinite(y[:, 0]).all():
                _check_finite(*parameters)
        if skip_coef is not None:
            y += matmul(skip, block.T)
        if not np.isfinite(y).all():
            _check_finite(*parameters)
            raise ValueError(_overflow(X))
        result = function(y).T
        # a user-defined function may widen it
        return result if result.dtype == np.intp else result.astype(dtype, copy=False)

    def of_share(share):
        buffers = {}  # the blocks of a cut have two sizes
        with np.errstate(**QUIET):
            for rows in share:
                block = X[rows].astype(dtype, copy=False)
                n = block.shape[0]
                if n not in buffers:
                    sizes = network.layer_sizes[1:]
                    buffers[n] = [np.empty((size, n), dtype=dtype) for size in sizes]
                yield rows, of_block(block, buffers[n])

    def all_rows(run):
        if len(slices) == 1:
            return np.ascontiguousarray(next(of_share(slices))[1])
        like = function(np.zeros((network.n_outputs, 1), dtype=dtype))
        kept = np.intp if like.dtype == np.intp else dtype
        result = np.empty((X.shape[0], like.shape[0]), dtype=kept)

        def keep(share):
            for rows, part in of_share(share):
                result[rows] = part

        run(keep, shares(slices))
        return result

    return with_workers(X.shape[0] * network.n_parameters, n_jobs, all_rows)


def _check_finite(coefs, intercepts, skip_coef):
    """Raise a ValueError if a weight or a bias is not finite."""
    arrays = *coefs, *intercepts, 0.0 if skip_coef is None else skip_coef
    if not all(np.isfinite(values).all() for values in arrays):
        raise ValueError(
            "coefs_, intercepts_ or skip_coef_ has a value that is not finite: fit "
            "again, or restore them."
        )


def _logarithms(labels, activation):
    """Return the function from logits (q, n) to the logarithms of probabilities."""
    head, f = head_of(labels), ArrayOperations(activation)

    def logarithms(z):
        log_p = head.log_probabilities(f, z)
        if labels.multilabel:  # `predict_proba` is nowhere 0
            return log_p
        if log_p.min() > np.log(np.finfo(z.dtype).tiny):  # nor here
            return log_p
        return np.where(head.probabilities(f, z) == 0, -np.inf, log_p)

    return logarithms


def _log_probabilities(network, labels, theta, X):
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
    function = _logarithms(labels, network.pairing.activation)
    weights, biases = network.weights_and_biases(theta)
    skip = network.skip_weights(theta).T if network.skip_layer else None
    parameters = [W.T for W in weights], biases, skip
    return _map_logits(network, parameters, X, X.dtype, function, n_jobs=None)


def _argmax(p):
    """Index of the largest of each column, (1, n)."""
    return p.argmax(axis=0)[np.newaxis]


def _overflow(X):
    if not np.isfinite(largest(X)):
        return NOT_FINITE
    return (
        f"The network overflows: X reaches {largest(X):.3g} in absolute value "
        f"(dtype {X.dtype}). Scale X in the same way as the training data."
    )


def _check_is_fitted(estimator):
    """Raise a NotFittedError; scikit-learn's check takes longer than a prediction."""
    if not hasattr(estimator, "_network"):
        check_is_fitted(estimator)


Method = TypeVar("Method", bound=Callable[..., Any])


def _of_one_fit(method: Method) -> Method:
    """Predict by a copy, as another thread may fit the estimator meanwhile."""

    @wraps(method)
    def predicted(self: Any, X: Any) -> Any:
        return method(shallow_copy(self), X)

    return cast(Method, predicted)


class Predictions:
    """Prediction methods of a fitted classifier; a mixin of `PairedMLPClassifier`.

    Examples
    --------
    >>> from skce import PairedMLPClassifier
    >>> from skce.prediction import Predictions
    >>> issubclass(PairedMLPClassifier, Predictions)
    True
    """

    # Set by fit
    classes_: NDArray[Any]
    pairing_: Pairing
    posterior_covariance_: NDArray[np.float64] | None
    moderated: bool
    n_jobs: int | None
    coefs_: list[NDArray[Any]]
    intercepts_: list[NDArray[Any]]
    skip_coef_: NDArray[Any] | None
    n_features_in_: int
    n_outputs_: int
    _labels: Labels
    _network: Network

    @_of_one_fit
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class of each row, or the labels with P > 1/2 (multilabel).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The class with the largest probability; in a tie, the first of them.
        """
        _check_is_fitted(self)
        if self._labels.multilabel:
            return (self.predict_proba(X) > 0.5).astype(int)
        head, f = self._head
        best = self._of_logits(X, lambda z: _argmax(head.probabilities(f, z)))
        return self.classes_[best[:, 0]]

    @_of_one_fit
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict class probabilities; each row sums to 1.

        Outputs that sum to 1, such as those of softmax, are used as they are; logistic
        outputs are divided by their sum; identity outputs are projected onto the
        simplex. After a multilabel fit, returns the probability of each label. With
        `moderated`, the probabilities are averaged over the Laplace approximation of
        the posterior of the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        _check_is_fitted(self)
        head, f = self._head
        probabilities = self._of_logits(X, lambda z: head.probabilities(f, z))
        if self._labels.multilabel:
            # scikit-learn's contract of such an array: strictly between 0 and 1
            zero, one = np.array([0, 1], dtype=probabilities.dtype)
            with np.errstate(**QUIET):
                inside = np.nextafter(zero, one), np.nextafter(one, zero)
                np.clip(probabilities, *inside, out=probabilities)
        return probabilities

    @_of_one_fit
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Predict the natural logarithms of the class probabilities, from the logits.

        They are exact for probabilities close to 1 as well. They are -inf where
        `predict_proba` is 0, even by underflow (below 5e-324, or 1e-45 in float32), as
        scikit-learn expects. `decision_function` returns the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_probabilities : ndarray, of the shape of `predict_proba`
        """
        _check_is_fitted(self)
        return self._of_logits(X, _logarithms(self._labels, self.pairing_.activation))

    @_of_one_fit
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the logits z, or moderated ones with `moderated=True`.

        For two classes there is one column, which is positive where class 1 is
        predicted: for a single unit z minus its value at an output of 1/2 (0 for
        logistic and probit, 1/2 for identity), or the difference of the two logits if
        the outputs sum to 1. After a multilabel fit, it has the same of each label.
        The logits of "ordinal" outputs do not stand for classes: it has the logarithms
        of the probabilities in their place.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,), (n_samples, n_classes) or \
                (n_samples, n_labels)
        """
        _check_is_fitted(self)
        head, f = self._head
        decision = self._of_logits(X, lambda z: head.decision(f, z))
        if self._labels.multilabel or decision.shape[1] > 1:
            return decision
        return decision[:, 0]

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Compute the accuracy; for a multilabel y, the share of rows entirely right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any dtype that `fit` accepts.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        right = super().score  # type: ignore[misc]
        return float(right(X, as_labels(y), sample_weight))

    @_of_one_fit
    def predict_outputs(self, X: Any) -> NDArray[Any]:
        """Compute the outputs y = f(z), before they are turned into probabilities.

        Rows of logistic and identity outputs need not sum to 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        outputs : ndarray of shape (n_samples, n_outputs_)
            One column for two classes and element-wise activations: the output
            for `classes_[1]`.
        """
        _check_is_fitted(self)
        return self._of_logits(X, self.pairing_.activation.value, moderated=False)

    @property
    def _head(self):
        """How the outputs are read, and the operations that it reads them by."""
        return head_of(self._labels), ArrayOperations(self.pairing_.activation)

    @property
    def _checked_network(self):
        """The network, of the shapes that `coefs_` and `intercepts_` have now.

        Hidden units may have been removed from them.

        Raises
        ------
        ValueError
            If the fitted attributes were changed so that they do not go together.
        """
        network, n_outputs = self._network, self._labels.n_outputs
        parameters = self._parameters
        if not are_floats(*parameters):
            raise ValueError(
                "coefs_ and intercepts_ must be lists of arrays of floats, one for "
                "each layer, and skip_coef_ such an array or None: fit again, or "
                "restore them."
            )
        *shapes, skip_shape = shapes_of(*parameters)
        hidden = [shape[-1:] for shape in shapes[0][:-1]]  # [()] where one has none
        sizes = (self.n_features_in_, *chain.from_iterable(hidden), n_outputs)
        if sizes != network.layer_sizes:
            network = Network(
                sizes,
                network.hidden_activation,
                network.pairing,
                network.skip_layer,
                network.inputs_first,
            )
        *wanted, wanted_skip = network.coef_shapes
        if shapes != wanted:
            raise ValueError(
                f"coefs_ and intercepts_ have the shapes {shapes[0]} and {shapes[1]}, "
                f"which do not fit a network with {self.n_features_in_} features "
                f"and {n_outputs} outputs: fit again, or restore them."
            )
        if skip_shape != wanted_skip:
            raise ValueError(
                f"skip_coef_ is {described(skip_shape)}, but of this network it is "
                f"{described(wanted_skip)}: fit again, or restore it."
            )
        if np.shape(self.classes_) != self._labels.classes.shape:
            raise ValueError(
                f"classes_ has the shape {np.shape(self.classes_)}; it was fitted with "
                f"{len(self._labels.classes)} classes: fit again, or restore it."
            )
        return network

    @property
    def _parameters(self):
        return self.coefs_, self.intercepts_, self.skip_coef_

    @property
    def _fitted_network(self):
        """The network and its parameters as a flat vector, float64.

        Raises
        ------
        ValueError
            If the fitted attributes do not go together, or are not finite.
        """
        network = self._checked_network
        _check_finite(*self._parameters)
        return network, network.pack_coefs(*self._parameters)

    def _of_logits(self, X, function, moderated=True):
        """Apply a function to the logits (q, n) of the rows of X; (n, columns)."""
        X = check_rows(self, X)
        network = self._checked_network
        n_jobs = self.n_jobs
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        covariance = self.posterior_covariance_
        if not (moderated and self.moderated and covariance is not None):
            return _map_logits(network, self._parameters, X, dtype, function, n_jobs)
        network, theta = self._fitted_network
        size = network.n_parameters
        z = np.array(np.nan)
        if np.shape(covariance) == (size, size):
            z = with_workers(
                X.shape[0] * size,
                n_jobs,
                lambda run: moderate(network, theta, X, covariance, run),
            )
        if not np.isfinite(z).all():
            if np.shape(covariance) == (size, size) and np.isfinite(covariance).all():
                raise ValueError(_overflow(X))
            raise ValueError(
                f"posterior_covariance_, of shape {np.shape(covariance)}, is not a "
                f"finite matrix for the {size} parameters of this network (have units "
                "been removed since the fit?): set moderated=False, or fit again."
            )
        return function(z.T.astype(dtype)).T
