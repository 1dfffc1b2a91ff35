"""Predictions: functions of the logits of many rows, block by block."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skce._inputs.validation import check_rows, largest
from skce._network.blocks import block_rows, row_slices, shares
from skce._network.executors import QUIET, workers
from skce._network.kernels import Layers, Network, Workspace
from skce.uncertainty._laplace import moderate

__all__ = ["Predictions"]


def map_logits(network, coefs, intercepts, X, function, n_jobs=None):
    """`function` of the logits of X.

    Parameters
    ----------
    network : Network
    coefs, intercepts : lists of ndarray of shape (n_in, n_out) and (n_out,)
        As on the estimator.
    X : ndarray or CSR of shape (n, p)
    function : callable
        From logits (q, n) to (columns, n); element-wise along the rows.
    n_jobs : int or None

    Returns
    -------
    result : ndarray of shape (n, columns)
        Of the wider dtype of X and the coefficients, or intp for indices.

    Raises
    ------
    ValueError
        If a logit is not finite.
    """
    dtype = np.result_type(X.dtype, coefs[0].dtype)
    theta = network.pack([coef.T for coef in coefs], intercepts)
    parameters = Layers(network, theta.astype(dtype))
    slices = row_slices(X.shape[0], block_rows(X.shape[0], network))
    like = function(np.zeros((network.n_outputs, 1), dtype=dtype))
    kept = np.intp if like.dtype == np.intp else dtype  # a user's function may widen it
    result = np.empty((X.shape[0], like.shape[0]), dtype=kept)

    def of_share(share):
        work = Workspace(network, dtype)
        with np.errstate(**QUIET):
            for rows in share:
                block = X[rows].astype(dtype, copy=False)
                z = network.forward(parameters, block, work.rows(block.shape[0]))
                if not np.isfinite(z).all():
                    raise ValueError(_overflow(X))
                result[rows] = function(z).T

    with workers(X.shape[0] * network.n_parameters, n_jobs) as run:
        run(of_share, shares(slices))
    return result


def _argmax(p):
    """The place of the largest of each column, (1, n)."""
    return p.argmax(axis=0)[np.newaxis]


def _overflow(X):
    return (
        f"The network overflows: X reaches {largest(X):.3g} in absolute value, as "
        f"{X.dtype}. Scale it as the training data were scaled."
    )


class Predictions:
    """What a fitted classifier predicts; a mixin of `PairedMLPClassifier`.

    Examples
    --------
    >>> from skce import PairedMLPClassifier
    >>> from skce.prediction import Predictions
    >>> issubclass(PairedMLPClassifier, Predictions)
    True
    """

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
        check_is_fitted(self)
        if self._multilabel:
            return (self.predict_proba(X) > 0.5).astype(int)
        best = self._probabilities(X, "probabilities", "marginals", _argmax)
        return self.classes_[best[:, 0]]

    def predict_proba(self, X):
        """Class probabilities; each row sums to 1.

        softmax and sparsemax outputs are taken as they are, logistic outputs are
        divided by their sum (in the logarithm), identity outputs are projected on
        the simplex. After a multilabel fit, the probability of each label. With
        `moderated`, averaged over what the training rows leave open.

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

    def _probabilities(self, X, of_classes, of_units, then=lambda p: p):
        """`then` of what a method of the activation makes of the logits."""
        check_is_fitted(self)
        activation = self.pairing_.activation
        if self._multilabel:
            return self._map_logits(X, lambda z: getattr(activation, of_units)(z)[1])
        if self.n_outputs_ == 1:
            return self._map_logits(
                X, lambda z: then(np.concatenate(getattr(activation, of_units)(z)))
            )
        return self._map_logits(X, lambda z: then(getattr(activation, of_classes)(z)))

    def decision_function(self, X):
        """The logits z, or with `moderated` what has the moderated probabilities.

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
        return self._map_logits(X, self.pairing_.activation.value, moderated=False)

    def _map_logits(self, X, function, moderated=True):
        """`function` of the logits (q, n) of the rows of X, as (n, columns)."""
        X = check_rows(self, X)
        if moderated and self.moderated and self.posterior_covariance_ is not None:
            return self._moderated_logits(X, function)
        layer_sizes = (self.coefs_[0].shape[0], *(len(b) for b in self.intercepts_))
        network = Network(layer_sizes, self._hidden_activation, self.pairing_)
        return map_logits(
            network, self.coefs_, self.intercepts_, X, function, self.n_jobs
        )

    def _moderated_logits(self, X, function):
        """`function` of what has the moderated probabilities."""
        covariance = self.posterior_covariance_
        with workers(X.shape[0] * len(covariance), self.n_jobs) as run:
            z = moderate(
                X,
                self.coefs_,
                self.intercepts_,
                self._hidden_activation,
                covariance,
                self.pairing_.activation.elementwise,
                run,
            )
        if not np.isfinite(z).all():
            raise ValueError(_overflow(X))
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        return function(z.T.astype(dtype)).T
