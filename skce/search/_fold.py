"""The fits of one fold, pair and layer sizes: one problem, several alphas."""

import warnings
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skce._estimator import _fitted_parameters
from skce._fitting.fits import fit_from_starts
from skce._fitting.memory import check_memory
from skce._fitting.monitor import NonFiniteObjectiveError
from skce._fitting.problem import Given, Plan
from skce._fitting.starts import new_starts
from skce._inputs.labels import encode
from skce._network.logits import log_probabilities
from skce.search._racing import HeldOutWatch, Rival, Visit, first_visit
from skce.search._scoring import HeldOutRows

__all__ = ["FoldTask", "SearchData", "Trial"]

# Near the default of PairedMLPClassifier: on the way up from here fits are cheap, and
# most of the smaller alphas are given up
FIRST_ALPHA = 2.0


@dataclass(frozen=True)
class SearchData:
    """The rows of a search.

    Attributes
    ----------
    X, y : ndarray or CSR, and ndarray
    sample_weight : ndarray of shape (n,) or None
        Of the fits.
    scoring : str or scorer
        See `HeldOutRows`.
    score_params : dict
        Parameters of the scorer, of all rows.
    n_classes : int
    order : ndarray or None
        The categories of an ordered y, or the classes in their order.
    """

    X: Any
    y: NDArray[Any]
    sample_weight: Any
    scoring: Any
    score_params: dict[str, Any]
    n_classes: int
    order: NDArray[Any] | None = None

    def training(self, rows=None):
        """Return the arguments of `fit` for some rows; None: for all."""
        arrays = self.X, self.y, self.sample_weight
        if rows is not None:
            arrays = [None if a is None else a[rows] for a in arrays]
        validation, start = (None, None, None), (None, None, None)
        return Given(*arrays, validation, start, partial(encode, order=self.order))

    def weights(self, rows):
        """Return the weights of the scores of some rows, or None."""
        weights = self.score_params.get("sample_weight")
        return None if weights is None else np.asarray(weights, dtype=float)[rows]

    def held_out(self, rows):
        """Return some rows as HeldOutRows."""
        n = self.X.shape[0]
        params = {
            name: np.asarray(value)[rows] if np.shape(value)[:1] == (n,) else value
            for name, value in self.score_params.items()
        }
        return HeldOutRows(
            self.X[rows], self.y[rows], self.scoring, params, self.n_classes
        )


@dataclass(frozen=True)
class Trial:
    """One fit and its score.

    Attributes
    ----------
    candidate, fold : int
    score : float
        NaN if the objective overflowed, or the scorer returned it.
    seconds : float
    complete : bool
        Whether the fit came to its end.
    losses : ndarray of shape (n_test,) or None
        Of the held-out rows, where the score is a mean over them.
    trouble : str or None
        Why the solver ended, where it did not converge, or the score is NaN.
    """

    candidate: int
    fold: int
    score: float
    seconds: float
    complete: bool = False
    losses: NDArray[np.float64] | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class FoldTask:
    """Fits of some alphas to the training rows of one fold.

    Attributes
    ----------
    template : PairedMLPClassifier
        Unfitted, with the pair and the layer sizes.
    candidates : dict of int to float
        The alphas by the index of their candidate, in the order to fit.
    fold : int
    racing : bool
        Whether fits are given up.
    first : bool
        Whether none of them has been fitted to another fold.
    rival : Rival or None
        The best complete fit of this fold so far.
    """

    template: Any
    candidates: dict[int, float]
    fold: int
    racing: bool
    first: bool
    rival: Rival | None = None

    def __call__(self, data, train, test):
        """Return the list of Trials."""
        held_out = data.held_out(test)
        run = _Run(self, data.training(train), held_out)
        numbers = list(self.candidates)
        with warnings.catch_warnings():
            # failures to converge are kept in the trials; the refit warns of the rest
            warnings.simplefilter("ignore")
            if self.first and self.racing and held_out.by_rows:
                alphas = list(self.candidates.values())
                first_visit(
                    alphas, FIRST_ALPHA, lambda i, may: run.fit(numbers[i], may)
                )
            else:
                for number in numbers:
                    run.fit(number)
        return list(run.trials.values())


class _Run:
    """A task that runs: its problem, and the best complete fit so far."""

    def __init__(self, task, given, held_out):
        self.task = task
        self.held_out = held_out
        self.rival = task.rival
        self.trials = {}
        self.template = copy(task.template)
        self.plan = Plan.of(self.template)
        state = check_random_state(self.template.random_state)
        executor = self.plan.executor
        self.problem = self.template._problem(given, executor, state)
        check_memory(
            self.problem.network,
            self.problem.rows,
            self.template.solver,
            self.template.n_init,
        )
        # of several starts, one that loses does not mean that the next will; and
        # moderated probabilities are known at the end alone
        one_start = self.template.n_init == 1 and not self.template.moderated
        self.watches = task.racing and held_out.by_rows and one_start

    def fit(self, number, may_postpone=False):
        """Fit the alpha of a candidate, keep the Trial, and return the Visit."""
        began = perf_counter()
        self.template.alpha = self.task.candidates[number]
        problem = replace(self.problem, alpha=self.template.alpha)
        watch = self.watch(problem, may_postpone)
        keep = partial(self.keep, number, began)
        try:
            fits = self.minimised(problem, watch)
        except NonFiniteObjectiveError:
            keep(np.nan, trouble="overflow")
            return Visit(np.inf, beaten=True)
        solution, losses = fits.best.solution, None
        record = solution.record
        complete = record["reason"] != "stopped"  # no one else asks for a stop
        fitted = self.fitted(problem, solution.theta)
        if fitted.average_starts:
            fitted._average(fits, problem)
        if fitted.moderated:
            fitted._moderate(problem, solution.theta)
        if self.held_out.by_rows:
            losses = self.held_out.losses(fitted) if complete else watch.losses
            score = self.held_out.score_of(losses)
        else:
            score = self.held_out.score(fitted)
        trouble = record["reason"] if complete and not record["success"] else None
        if np.isnan(score):
            trouble = "score is NaN"
        keep(score, complete=complete, losses=losses, trouble=trouble)
        return self.outcome(losses, complete)

    def watch(self, problem, may_postpone):
        """Return the HeldOutWatch of a fit, or None."""
        if not self.watches or (self.rival is None and not may_postpone):
            return None

        network, labels, held_out = problem.network, problem.labels, self.held_out

        def losses_at(theta):
            # without the validation of rows and weights that a prediction begins with
            theta = problem.for_rows(theta)
            log_p = log_probabilities(network, labels, theta, held_out.X)
            return held_out.losses_from(log_p, labels.classes)

        return HeldOutWatch(losses_at, held_out.weights, self.rival)

    def minimised(self, problem, watch):
        """Fit as PairedMLPClassifier does, from the same start for each alpha."""
        template = self.template
        state = check_random_state(template.random_state)
        grow = template._grows(problem)
        starts = new_starts(template, problem, [], grow, state)
        fits = fit_from_starts(problem, starts, replace(self.plan, listener=watch))
        if fits.interrupt.is_set():  # Ctrl-C ends the search, not a fit of it
            raise KeyboardInterrupt
        return fits

    def keep(self, number, began, score, **facts):
        """Keep a Trial, instead of one that was postponed."""
        before = self.trials.get(number)
        seconds = perf_counter() - began + (0 if before is None else before.seconds)
        self.trials[number] = Trial(number, self.task.fold, score, seconds, **facts)

    def fitted(self, problem, theta):
        """Return a classifier with these parameters."""
        fitted = copy(self.template)
        vars(fitted).update(_fitted_parameters(problem, theta))
        return fitted

    def outcome(self, losses, complete):
        """Compare with the best of the fold, which a better complete fit replaces."""
        if losses is None:
            return Visit(np.nan)
        this = Rival(losses, self.held_out.weights)
        if not complete:
            return Visit(this.mean, beaten=True, postponed=self.rival is None)
        if self.rival is None or this.mean < self.rival.mean:
            self.rival = this
            return Visit(this.mean)
        return Visit(this.mean, self.rival.beats(losses))
