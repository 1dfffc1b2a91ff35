"""PairedMLPClassifierCV: its parameters, its attributes and `fit`."""

import inspect
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skce._estimator import BasePairedMLP, replaced_when_whole
from skce._fitting.parameters import check_parameters
from skce._inputs.labels import (
    as_labels,
    check_kind,
    ordered_categories,
    warn_of_order,
)
from skce._inputs.validation import check_training_rows, is_integer
from skce._inputs.weights import check_weights
from skce._network.executors import QUIET
from skce._support.scoring import check_multilabel_scoring
from skce._support.warn import warn
from skce.classifier import PairedMLPClassifier
from skce.losses.pairings import pair
from skce.search._candidates import Candidate, check_alphas, groups_of, layer_sizes_of
from skce.search._fold import SearchData
from skce.search._results import convergence_advice, cv_results, scores_of_all
from skce.search._rounds import Search
from skce.search._scoring import ROW_LOSSES

__all__ = ["PairedMLPClassifierCV"]

OWN = {
    "alphas": None,
    "pairings": None,
    "cv": 5,
    "scoring": "neg_log_loss",
    "refit": True,
    "racing": True,
}
NO_EARLY_STOPPING = (
    "early stopping has the same effect as alpha, which the search chooses: use "
    "either this search, or early stopping with PairedMLPClassifier"
)
# Parameters of PairedMLPClassifier that a search does not have, and why
LEFT_OUT = {
    "alpha": "write alphas=[...], the values to choose from",
    "early_stopping": NO_EARLY_STOPPING,
    "validation_fraction": NO_EARLY_STOPPING,
    "n_iter_no_change": NO_EARLY_STOPPING,
    "warm_start": "the fits of a search all start from the same random weights",
}


def _parameters():
    """Return the parameters shared with PairedMLPClassifier, and the search's own."""
    base = inspect.signature(BasePairedMLP.__init__).parameters
    kept = [p for name, p in base.items() if name not in LEFT_OUT.keys() | OWN.keys()]
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [inspect.Parameter(name, keyword, default=OWN[name]) for name in OWN]
    return inspect.Signature([*kept, *own])


def _indices(rows):
    """Return row numbers for row numbers or a boolean mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows


class PairedMLPClassifierCV(BasePairedMLP):
    """Classifier that chooses alpha, and the pair and layer sizes, by cross-validation.

    After the search it is a PairedMLPClassifier with the best parameters, fitted to
    all rows. The result is close to that of GridSearchCV over the same candidates, in a
    fraction of the time: fits that can no longer win are abandoned (see Notes), and the
    fits of a fold share one copy of the rows. The result is bit-identical for any
    number of processes.

    Parameters
    ----------
    activation, penalty, hidden_activation
        The pair and the activation of the hidden units, as in PairedMLPClassifier.
    class_weight, label_smoothing, moderated, growing_sample
        As in PairedMLPClassifier.
    skip_layer, solver, max_iter, max_fun, tol, standardize, init
        As in PairedMLPClassifier.
    n_init, average_starts
        As in PairedMLPClassifier.
    hidden_layer_sizes : int, sequence of int or list of several, default=(100,)
        As in PairedMLPClassifier; or a list of several to choose from, at least one of
        which is a sequence, such as [(), (50,), (50, 20)].
    random_state : int, RandomState instance or None, default=None
        As in PairedMLPClassifier. All fits of the search start from the same random
        numbers, so that the choice of alpha does not depend on lucky starts.
    n_jobs : int or None, default=None
        Number of processes over folds, pairs and layer sizes, as in joblib, and of
        threads in predict. None: the fits run one after another, each in threads over
        blocks of rows; so do those of a round that takes less than about 0.2 seconds.
        -1: all cores. The result does not depend on it.
    verbose : bool or int, default=False
        Whether to print one line per round of folds; 2 or more: also one per iteration
        of the final fit.
    alphas : array-like of shape (n_alphas,), default=None
        Distinct non-negative numbers. None: nine from 0.01 to 100, half a decade
        apart.
    pairings : None, "all" or list of (activation, penalty), default=None
        Pairs to choose from, by names or instances, or dicts of `pairing_grid()`.
        None: only that of `activation` and `penalty`; "all": all pairs of
        `pairing_grid()` that can be fitted to y, those of ordinal if y is an ordered
        pandas Categorical or `activation` is ordinal; instances given as `activation`
        or `penalty` take the place of the registered ones of their classes.
    cv : int, cross-validation generator or iterable, default=5
        Folds, as in GridSearchCV, except that an int shuffles the rows, because tables
        are often sorted by something that is not a feature. For grouped rows pass a
        splitter with groups; for time series, TimeSeriesSplit.
    scoring : str or callable, default="neg_log_loss"
        Scorer of scikit-learn. Fits are abandoned early only with "neg_log_loss",
        "neg_brier_score" and "accuracy", given by name, which are means over rows.
    refit : bool, default=True
        Whether to fit the best candidate to all rows; otherwise the search cannot
        predict.
    racing : bool, default=True
        Whether to drop candidates that can no longer win (see Notes). False: all are
        fitted to all folds, as in GridSearchCV.

    Attributes
    ----------
    alpha_ : float
        The alpha with the best mean score; in a tie, the largest.
    pairing_ : Pairing
        The best pair.
    hidden_layer_sizes_ : tuple of int
        The best layer sizes.
    best_params_ : dict
        "activation", "penalty", "hidden_layer_sizes" and "alpha", as in GridSearchCV.
    best_index_ : int
        Their index in `cv_results_`.
    best_score_ : float
        Their mean score over the folds on which they were tried (see Notes).
    best_estimator_ : PairedMLPClassifier
        Fitted to all rows, if `refit`. Its attributes, such as `coefs_`, are available
        on this classifier too.
    alphas_ : ndarray of shape (n_alphas,)
        The alphas, sorted.
    scores_ : ndarray of shape (n_pairings, n_layer_sizes, n_alphas, n_splits)
        Score of each candidate on each fold. An abandoned fit has the score that it had
        reached; NaN means that there was no fit.
    cv_results_ : dict of str to array
        Columns for a pandas.DataFrame with one row per candidate, in the order of
        `scores_`: params, param_activation, param_penalty, param_hidden_layer_sizes,
        param_alpha; split0_test_score and so on, as in `scores_`, their mean_test_score
        and std_test_score over the folds tried; rank_test_score, of those kept;
        n_splits, the number of completed folds; mean_fit_time, in seconds; status,
        "kept", "given up" or "not tried".
    n_splits_ : int
        Number of folds.
    classes_, coefs_, ...
        All attributes of PairedMLPClassifier, if `refit`.

    See Also
    --------
    AlphaCurveDisplay : Plots the scores against alpha.
    compare_pairings : Compares pairs with confidence intervals; accepts this
    classifier.

    Notes
    -----
    Candidates that are clearly worse after a fold or two are dropped, so the search is
    often decided after two folds. `mean_test_score` is therefore a mean over the folds
    tried, including fits that may have been abandoned. It is not comparable between
    candidates, nor is `best_score_` between searches. To score the search itself, pass
    it to `cross_val_score`; for complete scores of all candidates set racing=False.

    The rule: let l_i be the losses of n held-out rows under one candidate and m_i under
    another, w_i the weights of the rows and W their sum. With the mean difference D,
    its standard error s, and the standard error e of the mean of m itself,

        D = sum_i w_i (l_i - m_i) / W,
        s^2 = n / (n - 1) sum_i w_i^2 (l_i - m_i - D)^2 / W^2,

    (e likewise, of m_i instead of l_i - m_i), the first *cannot win* against the second
    if n >= 20 and

        c - D + s < e / 2,

    that is, if it is unlikely to lead by half a standard error of the score, however
    close the two are. c is what an unfinished fit may still gain: five times the
    decrease of its loss over its last ten iterations. With `racing` and a score that is
    a mean over rows:

    1. Every fifth iteration a fit is compared with the best complete fit of the same
       fold, pair and layer sizes (see 3). It is abandoned if it cannot win from where
       it is now, or if its loss has risen for ten iterations and it could not win
       from its lowest loss.
    2. In a fold, the alphas of a pair and layer sizes are tried from the one nearest
       to 2. If the loss of this first fit has risen by D > 2 s + e / 2 above its own
       minimum, the fit is postponed, and the next larger alpha comes first. Larger
       alphas follow, then smaller ones. After one fit on the way up, or two in a row on
       the way down, that cannot win and whose loss is not below that of the fit
       before, the rest of that direction is skipped.
    3. Folds come in rounds: the pair of `activation` and `penalty` on two folds (with
       the first layer sizes; if `pairings` lacks the pair, its first one); the others
       on the first of these folds, compared with its best fit too, then on the second;
       then all on the next two folds, four, eight and so on. After each round, by all
       rows held out so far, every candidate is dropped except the one with the lowest
       mean loss and those without an abandoned or skipped fit that could still win
       against it. A larger alpha than the best is dropped only if D > 3 s, because a
       network with a small alpha can be confidently wrong on rare rows, which two
       folds may not contain. (Where rows are held out k times, s and e are multiplied
       by sqrt(k).)
    4. The race ends once a single candidate is left that has been fitted to two folds:
       `best_score_` is the mean of its folds.

    The chosen candidate can be worse than the best one by about a standard error of the
    score, and hardly by more. For the scores of all candidates on all folds, set
    racing=False. For other scorers, candidates are dropped after a round once they have
    the scores of three folds, where the 95 % interval of the difference to the best
    (Nadeau & Bengio 2003, see `compare_pairings`) excludes 0. With `n_init` > 1 or
    `moderated` no fit is abandoned before its end.

    A completed fit is bit-identical to that of PairedMLPClassifier on the training rows
    of the fold with the same integer `random_state`. Class weights apply to the fits;
    scores use sample weights only, as scorers do. The method `score` is the accuracy,
    as for all classifiers of this package. The search keeps the losses of the held-out
    rows, 8 bytes for each row and candidate fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from skce import PairedMLPClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifierCV(
    ...     pairings=[("softmax", "natural"), ("softmax", "least_squares")],
    ...     hidden_layer_sizes=5, alphas=[0.1, 1, 10], random_state=0,
    ... ).fit(scale(X), y)
    >>> clf.best_params_["penalty"], clf.alpha_
    ('natural', 0.1)
    >>> clf.scores_.shape
    (2, 1, 3, 5)
    >>> clf.score(scale(X), y) > 0.95
    True
    >>> import pandas as pd
    >>> table = pd.DataFrame(clf.cv_results_)
    >>> table.loc[clf.best_index_, "status"]
    'kept'
    """

    # Set by fit
    alpha_: float
    hidden_layer_sizes_: tuple[int, ...]
    best_index_: int
    best_params_: dict[str, Any]
    best_score_: float
    best_estimator_: PairedMLPClassifier
    alphas_: NDArray[np.float64]
    scores_: NDArray[np.float64]
    cv_results_: dict[str, Any]
    n_splits_: int

    # Set by __init__
    alphas: ArrayLike | None
    pairings: Any
    cv: Any
    refit: bool
    racing: bool

    def __init__(self, *arguments: Any, **parameters: Any) -> None:
        try:
            given = _parameters().bind(None, *arguments, **parameters)
        except TypeError as error:
            reasons = {LEFT_OUT[name] for name in parameters if name in LEFT_OUT}
            text = "; ".join([f"PairedMLPClassifierCV {error}", *sorted(reasons)])
            raise TypeError(f"{text}.") from None
        given.apply_defaults()
        for name, value in given.arguments.items():
            if name != "self":
                setattr(self, name, value)

    # get_params reads the names from here
    vars(__init__)["__signature__"] = _parameters()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def members(self) -> list[PairedMLPClassifier]:  # type: ignore[override]
        """Return those of `best_estimator_`; see PairedMLPClassifier.

        Returns
        -------
        members : list of PairedMLPClassifier
        """
        check_is_fitted(self)
        return self.best_estimator_.members()

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Raise an error: the fits of a search run in other processes.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "PairedMLPClassifierCV does not support callbacks, because its fits run in "
            "several processes: use verbose=1."
        )

    def fit(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Choose a candidate by cross-validation, and fit it to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            See `PairedMLPClassifier.fit`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in the fits and in the scores. (With metadata routing,
            in the scores of a scorer object only if it requests them.)
        **params : dict
            `groups`, array-like of shape (n_samples,), for a `cv` that keeps groups
            together; with metadata routing, all that `cv` and the scorer request.

        Returns
        -------
        self : PairedMLPClassifierCV

        Raises
        ------
        ValueError
            If a parameter, X, y or the weights cannot be used, or if the objective of
            all candidates overflows. An estimator that was fitted before is left as it
            was, also after Ctrl-C.

        Warns
        -----
        ConvergenceWarning
            Once for all fits of the cross-validation that did not converge, and for
            the fit to all rows.
        """
        self._check_own_parameters()
        with np.errstate(**QUIET), replaced_when_whole(self) as fitted:
            fitted._choose_and_fit(X, y, sample_weight, params)
        return self

    def _choose_and_fit(self, X, y, sample_weight, params):
        """Set the fitted attributes of a copy of the estimator."""
        self._forget_refit()
        rows, labels = check_training_rows(self, X, as_labels(y))
        multilabel = check_kind(labels) == "multilabel-indicator"
        if labels.ndim == 2 and not multilabel:
            labels = column_or_1d(labels, warn=True)
        check_weights(sample_weight, rows.shape[0])
        if sample_weight is not None:  # an array, or one number for all rows
            weights = np.asarray(sample_weight, dtype=float)
            sample_weight = np.broadcast_to(weights, rows.shape[:1]).copy()
        split_params, score_params = self._routed(sample_weight, params)
        scoring = self._scoring(multilabel)
        classes, order = np.unique(labels), ordered_categories(y)
        ordered = order is not None
        groups = groups_of(self, multilabel=multilabel, ordered=ordered)
        if not multilabel:  # once, before the first fit
            activations = [group.pairing.activation for group in groups]
            warn_of_order(classes, order, activations)
        data = SearchData(
            rows,
            labels,
            sample_weight,
            scoring,
            score_params,
            len(classes),
            classes if order is None else order,
        )
        search = self._search(groups, data, X, split_params)
        refit = search.run(self._classifier_for(search) if self.refit else None)
        self._keep_results(search)
        if refit is not None:
            self._adopt(refit)

    def _search(self, groups, data, X, split_params):
        """Return the Search, with all that can be checked before the first fit."""
        alphas = check_alphas(self.alphas)
        seed = self.random_state
        if not is_integer(seed):  # the same for all fits
            seed = int(check_random_state(seed).randint(np.iinfo(np.int32).max))
        templates = {}
        # the others are compared with the first, which should be a good one
        try:
            own = str(pair(self.activation, self.penalty))
        except (ValueError, NotImplementedError):  # undefined, but replaced
            own = None
        for group in sorted(groups, key=lambda group: str(group.pairing) != own):
            params = group.params(alphas[0]) | {"random_state": seed}
            templates[group] = self._template(params)
            check_parameters(templates[group])
        folds = self._folds(data, X, seed, split_params)
        return Search(
            [Candidate(group, alpha) for group in groups for alpha in alphas],
            templates,
            data,
            folds,
            racing=self.racing,
            n_jobs=self.n_jobs,
            verbose=bool(self.verbose),
        )

    def _folds(self, data, X, seed, split_params):
        """Return the folds: pairs of indices of the training and the held-out rows."""
        splits = self._splitter(data.y, seed).split(X, data.y, **split_params)
        folds = [tuple(map(_indices, split)) for split in splits]
        for number, (_, test) in enumerate(folds):
            weights = data.weights(test)
            if weights is not None and not weights.any():
                raise ValueError(
                    f"All held-out rows of fold {number} have a sample_weight of 0: "
                    "drop such rows, or pass a different cv."
                )
        return folds

    def _splitter(self, y, seed):
        """Return the splitter; an integer `cv` shuffles the rows."""
        cv = check_cv(self.cv, y, classifier=True)
        if self.cv is None or is_integer(self.cv):
            return cv.__class__(cv.n_splits, shuffle=True, random_state=seed)
        return cv

    def _template(self, params):
        """Return an unfitted PairedMLPClassifier with these parameters."""
        own = self.get_params(deep=False)
        shared = {name: own[name] for name in own.keys() - OWN.keys()}
        quiet = {"n_jobs": None, "verbose": False}
        return PairedMLPClassifier(**(shared | quiet | params))

    def _keep_results(self, search):
        """Set the attributes of the search."""
        if not search.alive:
            raise ValueError(
                f"No candidate is left, because all scores are NaN (scoring="
                f"{self.scoring!r}): {convergence_advice(search)}."
            )
        best = search.best
        self.best_index_ = best
        self.best_params_ = search.candidates[best].params
        self.alpha_ = self.best_params_["alpha"]
        self.hidden_layer_sizes_ = self.best_params_["hidden_layer_sizes"]
        self.pairing_ = search.candidates[best].group.pairing
        self.cv_results_ = cv_results(search)
        self.best_score_ = float(self.cv_results_["mean_test_score"][best])
        self.n_splits_ = len(search.folds)
        self.alphas_ = np.array(check_alphas(self.alphas))
        n_sizes = len(layer_sizes_of(self.hidden_layer_sizes))
        shape = (-1, n_sizes, len(self.alphas_), self.n_splits_)
        self.scores_ = scores_of_all(search).reshape(shape)
        advice = convergence_advice(search)
        if advice is not None:
            warn(f"{advice}.", ConvergenceWarning)

    def _classifier_for(self, search):
        """Return the function from a candidate to its classifier for all rows."""
        verbose = max(0, self.verbose - 1)
        options = {"verbose": verbose, "random_state": self.random_state}

        def classifier_for(i):
            # a copy, as a RandomState would go on from one fit to the next
            template = self._template(search.candidates[i].params | options)
            return clone(template)

        return classifier_for

    def _forget_refit(self):
        """Delete what `_adopt` set, which a fit with refit=False does not replace."""
        best = vars(self).pop("best_estimator_", None)
        if best is not None:
            for name in vars(best).keys() - best.get_params(deep=False).keys():
                vars(self).pop(name, None)

    def _adopt(self, refit):
        """Take over the attributes of the classifier fitted to all rows."""
        for message, category in refit.warnings:
            warn(message, category)
        best = refit.classifier.set_params(n_jobs=self.n_jobs)
        if hasattr(self, "feature_names_in_"):  # it was fitted to arrays
            best.feature_names_in_ = self.feature_names_in_
        parameters = best.get_params(deep=False)
        self.best_estimator_ = best
        for name, value in vars(best).items():
            if name not in parameters:
                setattr(self, name, value)

    def _check_own_parameters(self):
        """Raise an error for parameters of the search that cannot be used."""
        for name in ("refit", "racing"):
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise ValueError(f"{name}={value!r} must be True or False.")
        if self.scoring is not None and not callable(self.scoring):
            get_scorer(self.scoring)  # unknown names

    def _scoring(self, multilabel):
        """Return a name of `ROW_LOSSES` or a scorer."""
        name = self.scoring
        if multilabel and isinstance(name, str):
            check_multilabel_scoring({name})
        if isinstance(name, str) and name in ROW_LOSSES and not multilabel:
            return name
        return self._scorer()

    def _scorer(self):
        """Return the scorer; one given by name takes the sample weights."""
        scorer = check_scoring(PairedMLPClassifier(), self.scoring)
        if get_config()["enable_metadata_routing"] and isinstance(self.scoring, str):
            scorer = scorer.set_score_request(sample_weight=True)
        return scorer

    def _routed(self, sample_weight, params):
        """Return what goes to the splitter and to the scorer, as dicts."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **weights, **params)
            return routed.splitter.split, routed.scorer.score
        unknown = sorted(params.keys() - {"groups"})
        if unknown:
            raise TypeError(
                f"fit got {unknown}; without metadata routing it accepts X, y, "
                "sample_weight and groups. Other arguments need "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        return params, weights

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata go where: to `cv` and to the scorer.

        Returns
        -------
        routing : MetadataRouter
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                splitter=self.cv,
                method_mapping=MethodMapping().add(caller="fit", callee="split"),
            )
            .add(
                scorer=self._scorer(),
                method_mapping=MethodMapping().add(caller="fit", callee="score"),
            )
        )
