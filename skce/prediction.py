"""Predictions: functions of the logits of many rows, block by block."""

from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skce._inputs.labels import Labels, as_labels
from skce._inputs.validation import check_rows
from skce._network.executors import QUIET, with_workers
from skce._network.heads import ArrayOperations, head_of
from skce._network.kernels import Network
from skce._network.logits import (
    argmax,
    check_finite,
    logarithms_of,
    map_logits,
    mean,
    overflow,
)
from skce._network.parameters import are_floats, described, shapes_of
from skce._support.copies import shallow_copy
from skce.losses.pairings import Pairing
from skce.uncertainty._curvature import flat, unflat
from skce.uncertainty._laplace import moderate

__all__ = ["Predictions"]

RESTORE_MEMBERS = (
    "restore it, fit again, or set average_starts=False to predict by coefs_ alone"
)


def _check_is_fitted(estimator):
    """Raise a NotFittedError; scikit-learn's check takes longer than a prediction."""
    if not hasattr(estimator, "_network"):
        check_is_fitted(estimator)


def _averages_starts(estimator):
    """Return whether probabilities are averaged over several starts; maybe unfitted."""
    found = getattr(estimator, "member_parameters_", ())
    return bool(estimator.average_starts) and found is not None


def _has_logits(estimator):
    """Whether there is a decision_function, for `available_if`."""
    if _averages_starts(estimator):
        raise AttributeError(
            "decision_function is not available with average_starts=True, because "
            "averaged probabilities are not the outputs of one network's logits: use "
            "predict_proba or predict_log_proba, or set average_starts=False for the "
            "logits of the best network."
        )
    return True


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
    member_parameters_: NDArray[Any] | None
    average_starts: bool
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
        best = self._of_logits(X, lambda *z: argmax(self._probabilities(*z)))
        return self.classes_[best[:, 0]]

    @_of_one_fit
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict class probabilities; each row sums to 1.

        Outputs that sum to 1, such as those of softmax, are used as they are; logistic
        outputs are divided by their sum; identity outputs are projected onto the
        simplex. After a multilabel fit, returns the probability of each label. With
        `average_starts`, it is the mean of the members' probabilities. With
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
        probabilities = self._of_logits(X, self._probabilities)
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
        return self._of_logits(X, logarithms_of(self._labels, self.pairing_.activation))

    @available_if(_has_logits)
    @_of_one_fit
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the logits z, or moderated ones with `moderated=True`.

        For two classes there is one column, which is positive where class 1 is
        predicted: for a single unit z minus its value at an output of 1/2 (0 for
        logistic and probit, 1/2 for identity), or the difference of the two logits if
        the outputs sum to 1. After a multilabel fit, it has the same of each label.
        The logits of "ordinal" outputs do not stand for classes: it has the logarithms
        of the probabilities in their place. With `average_starts` the method is
        missing, because averaged probabilities are not the outputs of any logits.

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

        Rows of logistic and identity outputs need not sum to 1. With `average_starts`,
        the mean of the members' outputs.

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
        value = self.pairing_.activation.value
        return self._of_logits(
            X, lambda *logits: mean([value(z) for z in logits]), moderated=False
        )

    @property
    def _head(self):
        """How the outputs are read, and the operations that it reads them by."""
        return head_of(self._labels), ArrayOperations(self.pairing_.activation)

    def _probabilities(self, *logits):
        """Probabilities (columns, n), the mean over logits (q, n) of each member."""
        head, f = self._head
        return mean([head.probabilities(f, z) for z in logits])

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

    def _members(self, network):
        """Parameters of the networks that are averaged, as views: one, or several.

        Raises
        ------
        ValueError
            If `member_parameters_` was changed, or `coefs_` was and it was not.
        """
        if not _averages_starts(self):
            return [self._parameters]
        found, n = self.member_parameters_, network.n_parameters
        is_matrix = isinstance(found, np.ndarray) and found.dtype.kind == "f"
        if not is_matrix or found.ndim != 2 or found.shape[1] != n or len(found) == 0:
            raise ValueError(
                f"member_parameters_, of shape {np.shape(found)}, has no row of {n} "
                f"floats for each network that is averaged: {RESTORE_MEMBERS}."
            )
        if not np.isfinite(found).all():
            raise ValueError(
                f"member_parameters_ has a value that is not finite: {RESTORE_MEMBERS}."
            )
        if not np.array_equal(found[0], flat(*self._parameters)):
            raise ValueError(
                "coefs_, intercepts_ or skip_coef_ differs from "
                "member_parameters_[0], the best of the averaged networks: "
                f"{RESTORE_MEMBERS}."
            )
        return [unflat(network, row) for row in found]

    @property
    def _fitted_network(self):
        """The network and its parameters as a flat vector, float64.

        Raises
        ------
        ValueError
            If the fitted attributes do not go together, or are not finite.
        """
        network = self._checked_network
        check_finite(*self._parameters)
        return network, network.pack_coefs(*self._parameters)

    def _of_logits(self, X, function, moderated=True):
        """Apply a function to the logits (q, n) of the rows of X; (n, columns)."""
        X = check_rows(self, X)
        network = self._checked_network
        n_jobs = self.n_jobs
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        covariance = self.posterior_covariance_
        if not (moderated and self.moderated and covariance is not None):
            members = self._members(network)
            return map_logits(network, members, X, dtype, function, n_jobs)
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
                raise ValueError(overflow(X))
            raise ValueError(
                f"posterior_covariance_, of shape {np.shape(covariance)}, is not a "
                f"finite matrix for the {size} parameters of this network (have units "
                "been removed since the fit?): set moderated=False, or fit again."
            )
        return function(z.T.astype(dtype)).T
