"""Summary: what was fitted, how it ended, and how well calibrated it is."""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import xlogy
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skce._inputs.labels import fitted_labels
from skce._inputs.validation import check_weights
from skce._support.fitted import innermost

__all__ = ["Calibration", "Summary", "calibration", "summary"]

N_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """How probabilities agree with what came about.

    Attributes
    ----------
    n_rows : int
    accuracy : float
        Of the likeliest class; for a multilabel y, over all labels.
    confidence : float
        Mean probability of the likeliest class. Higher than the accuracy:
        overconfident.
    log_loss : float
        Nats a row (a label); inf where an outcome was given a probability of 0.
    log_loss_of_frequencies : float
        That of the frequencies in these rows as constant probabilities; for a
        multilabel y, of each label's own.
    brier : float
        sum_k (p_k - t_k)^2, 0 to 2, the mean over the rows (Brier 1950), which for two
        classes is twice scikit-learn's; for a multilabel y, over the labels, each with
        its two classes.
    calibration_error : float
        Mean distance of confidence and accuracy over ten bins of about equal weight in
        the order of the confidence, where equal ones stay together (after Naeini,
        Cooper & Hauskrecht 2015). Of m different rows, of the order of sqrt(10 / m) / 4
        also where nothing is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inspection import calibration
    >>> found = calibration(np.eye(2), np.array([[0.8, 0.2], [0.4, 0.6]]))
    >>> found.accuracy, round(found.confidence, 2)
    (1.0, 0.7)
    """

    n_rows: int
    accuracy: float
    confidence: float
    log_loss: float
    log_loss_of_frequencies: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class Summary:
    """A fitted classifier in numbers; `print` shows them.

    Attributes
    ----------
    pairing, status : str
        The pair, and whether it is natural, workable or degenerate.
    layer_sizes : tuple of int
        Inputs, hidden units of each layer, outputs.
    hidden_activation : str
    n_parameters : int
    alpha : float
    loss : float
        The objective, L2 term included.
    solver, reason : str
        Why the solver stopped: see `solver_result_`.
    converged : bool
        Whether the gradient is within tol.
    gradient_norm, tol : float
    n_iter, n_evaluations : int
        In all stages; Hessian products count as evaluations.
    seconds : float
    n_starts : int
    best_validation_score : float or None
    calibration : Calibration or None

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier, summary
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=3, alpha=1, random_state=0)
    >>> found = summary(clf.fit(X, y))
    >>> found.layer_sizes, found.n_parameters, found.converged
    ((4, 3, 3), 27, True)
    """

    pairing: str
    status: str
    layer_sizes: tuple
    hidden_activation: str
    n_parameters: int
    alpha: float
    loss: float
    solver: str
    reason: str
    converged: bool
    gradient_norm: float
    tol: float
    n_iter: int
    n_evaluations: int
    seconds: float
    n_starts: int
    best_validation_score: float | None
    calibration: Calibration | None

    def to_dict(self):
        """Nested dicts of numbers and strings."""
        return asdict(self)

    def __str__(self):
        layers = " - ".join(map(str, self.layer_sizes))
        hidden = f", {self.hidden_activation}" if len(self.layer_sizes) > 2 else ""
        short = "within" if self.converged else "over"
        lines = {
            "pair": f"{self.pairing} ({self.status})",
            "layers": f"{layers}{hidden}: {self.n_parameters} parameters",
            "objective": f"{self.loss:.6g}, alpha={self.alpha:g}",
            "stopped by": f"{self.solver}, {self.reason}: gradient "
            f"{self.gradient_norm:.2g}, {short} tol={self.tol:g}",
            "work": f"{self.n_iter} iterations, {self.n_evaluations} evaluations, "
            f"{self.seconds:.2g} s"
            + (f", the best of {self.n_starts} starts" * (self.n_starts > 1)),
        }
        if self.best_validation_score is not None:
            lines["validation"] = f"{self.best_validation_score:.4g} at best"
        found = self.calibration
        if found is not None:
            over = "over" if found.confidence > found.accuracy else "under"
            gap = abs(found.confidence - found.accuracy)
            lines |= {
                "rows": f"{found.n_rows}",
                "accuracy": f"{found.accuracy:.4f}; mean confidence "
                f"{found.confidence:.4f} ({over}confident by {gap:.4f})",
                "log loss": f"{found.log_loss:.4f}; of the class frequencies "
                f"{found.log_loss_of_frequencies:.4f}",
                "Brier score": f"{found.brier:.4f}",
                "calibration": (
                    f"error {found.calibration_error:.4f} over {N_BINS} bins"
                ),
            }
        return "\n".join(f"{name:<12}{text}" for name, text in lines.items())


def summary(estimator, X=None, y=None, sample_weight=None):
    """What was fitted, how it ended, and how well calibrated it is.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        Fitted; or a pipeline, search or wrapper around one.
    X, y : default=None
        Rows for the calibration figures, best ones that were not fitted. After
        `fit_targets` y may be soft targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Their weights.

    Returns
    -------
    summary : Summary
        With `calibration`, a `skce.inspection.Calibration`: accuracy, confidence, log
        loss, Brier score (0 to 2) and calibration error, where for a multilabel y each
        label of each row counts by itself.

    Raises
    ------
    ValueError
        If the estimator holds no fitted PairedMLPClassifier, or several.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skce import PairedMLPClassifier, summary
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=20, alpha=1, random_state=0)
    >>> print(summary(clf.fit(X, y), X_test, y_test))
    pair        softmax x cross_entropy (natural)
    layers      64 - 20 - 10, logistic: 1510 parameters
    objective   ..., alpha=1
    stopped by  lbfgs, tolerance: gradient ..., within tol=0.0001
    work        ... iterations, ... evaluations, ... s
    rows        450
    accuracy    0.9...; mean confidence 0.9... (...confident by 0.0...)
    log loss    0.1...; of the class frequencies 2.2...
    Brier score 0.0...
    calibration error 0.0... over 10 bins
    """
    clf = innermost(estimator)
    if not hasattr(clf, "pairing_") and hasattr(clf, "activation"):
        check_is_fitted(clf)
    if not hasattr(clf, "pairing_"):
        raise ValueError(
            f"{type(estimator).__name__} holds no fitted PairedMLPClassifier, which "
            "summary is for."
        )
    if (X is None) != (y is None):
        raise ValueError("X and y must be given together, or neither.")
    record = clf.solver_result_
    stages = clf.stages_
    found = None
    if X is not None:
        found = calibration(
            _targets(clf, y), estimator.predict_proba(X), clf._multilabel, sample_weight
        )
    return Summary(
        pairing=str(clf.pairing_),
        status=clf.pairing_.status,
        layer_sizes=(clf.n_features_in_, *(len(b) for b in clf.intercepts_)),
        hidden_activation=clf._hidden_activation.name,
        n_parameters=sum(a.size for a in (*clf.coefs_, *clf.intercepts_)),
        alpha=record["alpha"],
        loss=clf.loss_,
        solver=record["solver"],
        reason=record["reason"],
        converged=record["success"],
        gradient_norm=record["gradient_norm"],
        tol=record["tol"],
        n_iter=sum(stage.n_iter for stage in stages),
        n_evaluations=sum(stage.nfev + stage.nhev for stage in stages),
        seconds=sum(stage.seconds for stage in stages),
        n_starts=int(np.count_nonzero(~np.isnan(clf.init_losses_))),
        best_validation_score=clf.best_validation_score_,
        calibration=found,
    )


def _targets(clf, y):
    """Indicators or probabilities of the classes, (n, n_classes)."""
    if hasattr(y, "toarray"):
        y = y.toarray()
    soft = clf._columns is not None and np.ndim(y) == 2
    labels = fitted_labels(clf)
    codes = (labels if soft else replace(labels, columns=None)).code(y, "y")
    if codes.ndim == 1:
        return np.eye(len(clf.classes_))[codes]
    if clf._multilabel or clf.n_outputs_ > 1:
        return codes.astype(float)
    return np.hstack([1 - codes, codes])


def calibration(targets, probabilities, multilabel=False, sample_weight=None):
    """How probabilities agree with what came about.

    Parameters
    ----------
    targets, probabilities : ndarray of shape (n, n_classes) or (n, n_labels)
        What came about, 0 or 1 or its own probability, and what was said.
    multilabel : bool, default=False
        Whether each column is a question of its own.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    calibration : Calibration

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inspection import calibration
    >>> found = calibration(np.eye(2), np.array([[0.8, 0.2], [0.4, 0.6]]))
    >>> found.accuracy, round(found.confidence, 2)
    (1.0, 0.7)
    """
    check_consistent_length(targets, probabilities)
    weights, _ = check_weights(sample_weight, probabilities)
    weights = np.ones(len(targets)) if weights is None else weights
    n_rows = len(targets)
    t, p = (np.asarray(a, dtype=float) for a in (targets, probabilities))
    mean = np.broadcast_to(np.average(t, axis=0, weights=weights), t.shape)
    if multilabel:  # each label is a row with two classes
        weights = np.repeat(weights, t.shape[1])
        t, p, mean = (
            np.stack([1 - a, a], axis=-1).reshape(-1, 2) for a in (t, p, mean)
        )
    best = p.argmax(axis=1)
    right = t[np.arange(len(t)), best]
    confidence = p.max(axis=1)

    def average(values):
        return float(np.average(values, weights=weights))

    def of_outcomes(p):
        with np.errstate(divide="ignore"):  # -log 0 = inf is the right answer
            return average(np.maximum(-xlogy(t, p).sum(axis=1), 0))

    return Calibration(
        n_rows=n_rows,
        accuracy=average(right),
        confidence=average(confidence),
        log_loss=of_outcomes(p),
        log_loss_of_frequencies=of_outcomes(mean),
        brier=average(np.square(p - t).sum(axis=1)),
        calibration_error=_calibration_error(confidence, right, weights),
    )


def _calibration_error(confidence, right, weights):
    """The mean distance over bins of equal weight; equal confidences go into one."""
    _, group = np.unique(confidence, return_inverse=True)
    gap = np.bincount(group, weights=weights * (confidence - right))
    weight = np.bincount(group, weights=weights)
    place = np.cumsum(weight) - weight / 2
    bins = (N_BINS * place / weight.sum()).astype(int)
    return float(np.abs(np.bincount(bins, weights=gap)).sum() / weight.sum())
