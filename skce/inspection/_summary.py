"""Summarise a fit: the network, how training ended, and calibration."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from skce._inputs.weights import check_weights
from skce._network.executors import QUIET
from skce._support.fitted import innermost, unwrapped
from skce._support.html import TEXT, html_page, html_table
from skce.prediction import _averages_starts

__all__ = ["Calibration", "Summary", "calibration", "summary"]

N_BINS = 10

# Overconfidence that is worth a sentence: so much, and so many standard errors of the
# accuracy
MIN_GAP, N_ERRORS = 0.01, 2

# ... and what a verdict calls misjudged classes: their mean probability off by this
# ratio, and by this many standard errors of a sum of independent outcomes
MIN_RATIO, N_ERRORS_OF_SHARE = 1.2, 3


@dataclass(frozen=True)
class Calibration:
    """Agreement of predicted probabilities with the observed outcomes.

    For a multilabel y, each label of each row counts as a row with two classes.

    Attributes
    ----------
    n_rows : int
    frequencies, predicted_frequencies : tuple of float
        The share of each class (or label) in the rows, and the mean of its probability.
    accuracy : float
        Of the class with the largest probability.
    confidence : float
        Mean of the largest probability. A model whose confidence exceeds its accuracy
        is overconfident.
    log_loss : float
        Mean over the rows, in nats; inf where an observed outcome had probability 0.
    log_loss_of_frequencies : float
        The log loss of a constant prediction, the class frequencies in these rows (for
        a multilabel y, the frequencies of each label).
    brier : float
        Mean over the rows of sum_k (p_k - t_k)^2, which is 0 to 2 (Brier 1950). For two
        classes it is twice scikit-learn's.
    calibration_error : float
        Mean absolute difference of confidence and accuracy over ten bins of about equal
        weight, ordered by confidence, where rows of equal confidence share a bin (after
        Naeini, Cooper & Hauskrecht 2015). Even for perfectly calibrated probabilities
        it is of the order of sqrt(10 / m) / 4 for m distinct rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.inspection import calibration
    >>> found = calibration(np.eye(2), np.array([[0.8, 0.2], [0.4, 0.6]]))
    >>> found.accuracy, round(found.confidence, 2)
    (1.0, 0.7)
    """

    n_rows: int
    frequencies: tuple[float, ...]
    predicted_frequencies: tuple[float, ...]
    accuracy: float
    confidence: float
    log_loss: float
    log_loss_of_frequencies: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class Summary:
    """The figures of a fitted classifier, as returned by `summary`; `print` shows them.

    Attributes
    ----------
    pairing, status : str
        The pair, and its status: natural, workable or degenerate.
    layer_sizes : tuple of int
        Number of inputs, of the units of each hidden layer, and of outputs.
    hidden_activation : str
    skip_layer : bool
        Whether there are skip-layer connections beside the hidden layers.
    n_parameters : int
        Without those that the activation fixes at 0, as "ordinal" does.
    alpha : float
    loss : float
        The objective, including the L2 term.
    solver, reason : str
        The solver and why it stopped: see `solver_result_`.
    converged : bool
        Whether the gradient is within tol, or the objective on a plateau.
    gradient_norm, tol : float
    n_iter, n_evaluations : int
        Totals over all stages; Hessian products count as evaluations.
    seconds : float
        The same. All three are those of the best start alone.
    n_starts : int
    n_members : int
        Number of networks whose probabilities are averaged; 1 without `average_starts`.
    spread : float or None
        With `average_starts` and X, the standard deviation of the members' probability
        of the predicted class, or for a multilabel y of each label, averaged over the
        rows: how much the probabilities depend on the start.
    best_validation_score : float or None
    calibration : Calibration or None
    verdict : str
        The worst problem of the fit and what to do about it, or "nothing stands out".

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
    layer_sizes: tuple[int, ...]
    hidden_activation: str
    skip_layer: bool
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
    n_members: int
    spread: float | None
    best_validation_score: float | None
    calibration: Calibration | None
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as nested dicts of numbers and strings."""
        return asdict(self)

    def _lines(self) -> dict[str, str]:
        """Return what is printed: a heading and a text for each line."""
        layers = " - ".join(map(str, self.layer_sizes))
        layers += " with a skip layer" if self.skip_layer else ""
        hidden = f", {self.hidden_activation}" if len(self.layer_sizes) > 2 else ""
        short = "within" if self.gradient_norm <= self.tol else "over"
        lines = {
            "pair": f"{self.pairing} ({self.status})",
            "layers": f"{layers}{hidden}: {self.n_parameters} parameters",
            "objective": f"{self.loss:.6g}, alpha={self.alpha:g}",
            "stopped by": f"{self.solver}, {self.reason}: gradient "
            f"{self.gradient_norm:.2g}, {short} tol={self.tol:g}",
            "work": f"{self.n_iter} iterations, {self.n_evaluations} evaluations, "
            f"{self.seconds:.2g} s"
            + (f", by the best of {self.n_starts} starts" if self.n_starts > 1 else ""),
        }
        if self.n_members > 1:
            lines["members"] = f"{self.n_members} averaged"
            if self.spread is not None:
                lines["members"] += (
                    f"; standard deviation of their probabilities {self.spread:.4f}"
                )
        if self.best_validation_score is not None:
            lines["validation"] = f"{self.best_validation_score:.4g} at best"
        if self.calibration is not None:
            lines |= _calibration_lines(self.calibration)
        lines["verdict"] = self.verdict
        return lines

    def __str__(self) -> str:
        lines = self._lines()
        width = max(map(len, lines))
        return "\n".join(f"{name:<{width}} {text}" for name, text in lines.items())

    def _repr_html_(self) -> str:
        return html_page(html_table(self._lines().items(), align=[TEXT, TEXT]))


def _calibration_lines(found: Calibration) -> dict[str, str]:
    over = "over" if found.confidence > found.accuracy else "under"
    gap = abs(found.confidence - found.accuracy)
    return {
        "rows": f"{found.n_rows}",
        "accuracy": f"{found.accuracy:.4f}; mean confidence {found.confidence:.4f} "
        f"({over}confident by {gap:.4f})",
        "log loss": f"{found.log_loss:.4f}; of the class frequencies "
        f"{found.log_loss_of_frequencies:.4f}",
        "Brier score": f"{found.brier:.4f}",
        "calibration error": f"{found.calibration_error:.4f} over {N_BINS} bins",
    }


def summary(
    estimator: Any,
    X: Any = None,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Summary:
    """Summarise a fit: the network, how training ended, and calibration.

    Parameters
    ----------
    estimator : PairedMLPClassifier
        Fitted; or a pipeline, search or wrapper around one.
    X, y : default=None
        Rows for the calibration figures, preferably held out from training. After
        `fit_targets` y may be soft targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of these rows.

    Returns
    -------
    summary : Summary
        If X and y are given, its `calibration` is a `skce.inspection.Calibration`:
        accuracy, confidence, log loss, Brier score (0 to 2) and calibration error,
        where for a multilabel y each label of each row counts as a row.

    Raises
    ------
    ValueError
        If the estimator contains no fitted PairedMLPClassifier or several, or if only
        one of X and y is given.
    NotFittedError
        If the classifier is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skce import PairedMLPClassifier, summary
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=20, alpha=1, random_state=0)
    >>> found = summary(clf.fit(X, y), X_test, y_test)
    >>> found.reason, found.converged, found.calibration.accuracy > 0.95
    ('plateau', True, True)
    >>> print(found)  # doctest: +SKIP
    pair              softmax x cross_entropy (natural)
    layers            64 - 20 - 10, relu: 1510 parameters
    objective         0.0401784, alpha=1
    stopped by        lbfgs, plateau: gradient 0.00022, over tol=0.0001
    work              88 iterations, 89 evaluations, 0.09 s
    rows              450
    accuracy          0.9778; mean confidence 0.9744 (underconfident by 0.0034)
    log loss          0.0693; of the class frequencies 2.2976
    Brier score       0.0328
    calibration error 0.0073 over 10 bins
    verdict           nothing stands out
    """
    clf = innermost(estimator)
    if not hasattr(clf, "pairing_") and hasattr(clf, "activation"):
        check_is_fitted(clf)
    if not hasattr(clf, "pairing_"):
        raise ValueError(
            f"{type(estimator).__name__} contains no fitted PairedMLPClassifier, which "
            "summary needs."
        )
    if (X is None) != (y is None):
        raise ValueError("X and y must be given together, or not at all.")
    network, _ = clf._fitted_network
    record = clf.solver_result_
    stages = clf.stages_
    found = None
    if X is not None:
        found = calibration(
            _targets(clf, y),
            estimator.predict_proba(X),
            clf._labels.multilabel,
            sample_weight,
        )
    return Summary(
        pairing=str(clf.pairing_),
        status=clf.pairing_.status,
        layer_sizes=network.layer_sizes,
        hidden_activation=network.hidden_activation.name,
        skip_layer=network.skip_layer,
        n_parameters=network.n_free,
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
        n_members=len(clf._members(network)),
        spread=None if X is None else _spread(clf, estimator, X, sample_weight),
        n_starts=int(np.count_nonzero(~np.isnan(clf.init_losses_))),
        best_validation_score=clf.best_validation_score_,
        calibration=found,
        verdict=_verdict(clf, found),
    )


def _spread(clf: Any, estimator: Any, X: Any, sample_weight: Any) -> float | None:
    """Return the mean standard deviation of the members' probabilities, or None."""
    inner, X = unwrapped(estimator, X)
    if inner is not clf or not _averages_starts(clf):
        return None
    probabilities = np.array([member.predict_proba(X) for member in clf.members()])
    spread = probabilities.std(axis=0)
    if clf._labels.multilabel:
        spread = spread.mean(axis=1)
    else:
        best = probabilities.mean(axis=0).argmax(axis=1)
        spread = spread[np.arange(len(best)), best]
    weights = check_weights(sample_weight, len(spread))[0]
    return float(np.average(spread, weights=weights))


def _verdict(clf: Any, found: Calibration | None) -> str:
    """Return the worst that can be said of a fit, and what to do about it."""
    record = clf.solver_result_
    raise_alpha = (
        f"raise alpha, now {record['alpha']:g}, or let PairedMLPClassifierCV choose it"
    )
    scale = "" if clf.standardize else "set standardize=True if X is not scaled, "
    if clf.pairing_.status == "degenerate":
        return "degenerate: the loss says nothing about the classes; take another pair"
    # estimators stored by earlier versions do not have it
    if not record.get("learned", True):
        return (
            "stuck: no better than the class frequencies on the training rows; "
            f"{scale}lower alpha, use fewer layers or another random_state"
        )
    if record.get("badly_scaled", False):
        return (
            "badly scaled features: the first layer will hardly learn from them; set "
            "standardize=True"
        )
    if found is not None:
        misjudged = _misjudged_class(found)
        if misjudged is not None:
            misjudged_class = (
                f"class {clf.classes_[misjudged]} has a mean probability of "
                f"{found.predicted_frequencies[misjudged]:.3g}, but a share of "
                f"{found.frequencies[misjudged]:.3g} of these rows"
            )
            if clf.class_weight is not None:
                return (
                    f"{misjudged_class}, because of class_weight: leave it out, or "
                    "calibrate with CalibratedClassifierCV"
                )
        if found.log_loss > found.log_loss_of_frequencies:
            return f"worse than the class frequencies on these rows: {raise_alpha}"
        gap = found.confidence - found.accuracy
        spread = np.sqrt(found.accuracy * (1 - found.accuracy) / found.n_rows)
        if gap > MIN_GAP and gap > N_ERRORS * spread:
            return f"overconfident by {gap:.4f} on these rows: {raise_alpha}"
        if misjudged is not None:
            return f"{misjudged_class}: calibrate with CalibratedClassifierCV"
    if not record["success"] and record["reason"] != "stopped":
        return f"not converged ({record['reason']}): {scale}raise max_iter or tol"
    return "nothing stands out"


def _misjudged_class(found: Calibration) -> int | None:
    """Return the class whose mean probability is furthest from its share, or None.

    By ratio, of those that differ by more than `N_ERRORS_OF_SHARE` standard errors,
    and by a ratio of `MIN_RATIO`.
    """
    p, t = np.array(found.predicted_frequencies), np.array(found.frequencies)
    error = np.sqrt(np.maximum(p * (1 - p), 0) / found.n_rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.abs(np.log(p / t))
    ratios[(np.abs(p - t) <= N_ERRORS_OF_SHARE * error) | (p == t)] = 0
    k = int(ratios.argmax())
    return k if ratios[k] > np.log(MIN_RATIO) else None


def _targets(clf: Any, y: Any) -> NDArray[np.float64]:
    """Return indicators or probabilities of the classes, (n, n_classes)."""
    if hasattr(y, "toarray"):
        y = y.toarray()
    labels = clf._labels
    soft = labels.soft and np.ndim(y) == 2
    codes = (labels if soft else replace(labels, columns=None)).code(y, "y")
    if codes.ndim == 1:
        return np.eye(len(clf.classes_))[codes]
    if labels.multilabel or labels.n_outputs > 1:
        return codes.astype(float)
    return np.hstack([1 - codes, codes])


@np.errstate(**QUIET)
def calibration(
    targets: ArrayLike,
    probabilities: ArrayLike,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> Calibration:
    """Compare predicted probabilities with the observed outcomes.

    Parameters
    ----------
    targets : array-like of shape (n, n_classes) or (n, n_labels)
        Observed outcomes: 0 or 1, or probabilities for soft targets.
    probabilities : array-like of the same shape
        Predicted probabilities.
    multilabel : bool, default=False
        Whether the columns are independent labels instead of classes that exclude each
        other.
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
    t, p = (np.asarray(a, dtype=float) for a in (targets, probabilities))
    check_consistent_length(t, p)
    n_rows = len(t)
    weights, _ = check_weights(sample_weight, n_rows)
    weights = np.ones(n_rows) if weights is None else weights
    frequencies = np.average(t, axis=0, weights=weights)
    predicted = np.average(p, axis=0, weights=weights)
    mean = np.broadcast_to(frequencies, t.shape)
    if multilabel:  # each label becomes a row with two classes
        weights = np.repeat(weights, t.shape[1])
        t, p, mean = (
            np.stack([1 - a, a], axis=-1).reshape(-1, 2) for a in (t, p, mean)
        )
    best = p.argmax(axis=1)
    hit = t[np.arange(len(t)), best]
    confidence = p.max(axis=1)

    def average(values: NDArray[np.float64]) -> float:
        return float(np.average(values, weights=weights))

    def log_loss(p: NDArray[np.float64]) -> float:
        return average(np.maximum(-xlogy(t, p).sum(axis=1), 0))

    return Calibration(
        n_rows=n_rows,
        frequencies=tuple(frequencies.tolist()),
        predicted_frequencies=tuple(predicted.tolist()),
        accuracy=average(hit),
        confidence=average(confidence),
        log_loss=log_loss(p),
        log_loss_of_frequencies=log_loss(mean),
        brier=average(np.square(p - t).sum(axis=1)),
        calibration_error=_calibration_error(confidence, hit, weights),
    )


def _calibration_error(
    confidence: NDArray[np.float64],
    hit: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> float:
    """Return the mean absolute gap over bins of about equal weight."""
    # Rows of equal confidence form a group, which goes into the bin of its middle:
    # otherwise the order of the rows would decide
    _, group = np.unique(confidence, return_inverse=True)
    gap = np.bincount(group, weights=weights * (confidence - hit))
    weight = np.bincount(group, weights=weights)
    middle = np.cumsum(weight) - weight / 2
    bins = (N_BINS * middle / weight.sum()).astype(int)
    return float(np.abs(np.bincount(bins, weights=gap)).sum() / weight.sum())
