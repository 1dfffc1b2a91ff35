"""The fits of one fold, pair and architecture: one problem, solved for several alphas."""

import warnings
from copy import copy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from skce._estimator import _fitted_parameters
from skce._fitting.fits import fit_from_starts
from skce._fitting.problem import Given, Plan
from skce._fitting.solvers import NonFiniteObjectiveError
from skce._fitting.starts import new_starts
from skce._inputs.labels import encode
from skce.search._racing import HeldOutWatch, Rival, first_visit
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
    """

    X: Any
    y: NDArray[Any]
    sample_weight: Any
    scoring: Any
    score_params: dict[str, Any]

    def training(self, rows):
        """Return the arguments of `fit` for some rows."""
        weights = self.sample_weight
        weights = None if weights is None else np.asarray(weights)[rows]
        none = None, None
        return Given(
            self.X[rows], self.y[rows], weights, (*none, None), none, encode, {}
        )

    def held_out(self, rows):
        """Return some rows as HeldOutRows."""
        n = self.X.shape[0]
        params = {
            name: np.asarray(value)[rows] if np.shape(value)[:1] == (n,) else value
            for name, value in self.score_params.items()
        }
        return HeldOutRows(self.X[rows], self.y[rows], self.scoring, params)


@dataclass(frozen=True)
class Trial:
    """One fit and its score.

    Attributes
    ----------
    candidate, fold : int
    score : float
        NaN if the objective overflowed.
    complete : bool
        Whether the fit came to its end.
    seconds : float
    losses : ndarray of shape (n_test,) or None
        Of the held-out rows, where the score is a mean over them.
    advice : str or None
        Why it did not converge.
    """

    candidate: int
    fold: int
    score: float
    complete: bool
    seconds: float
    losses: NDArray[np.float64] | None = None
    advice: str | None = None


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
            # they return as the advice of the trials, or are those of the refit
            warnings.simplefilter("ignore")
            if self.first and self.racing and held_out.by_rows:
                alphas = list(self.candidates.values())
                first_visit(alphas, FIRST_ALPHA, lambda i: run.fit(numbers[i]))
            else:
                for number in numbers:
                    run.fit(number)
        return run.trials


class _Run:
    """A task that runs."""

    def __init__(self, task, given, held_out):
        self.task = task
        self.held_out = held_out
        self.rival = task.rival
        self.trials = []
        template = task.template
        self.plan = Plan.of(template)
        state = check_random_state(template.random_state)
        self.problem = template._problem(given, self.plan.executor, state)
        # the rows that are predicted are arrays, also where fit got a frame
        self.template = copy(template)
        # of several starts, one behind does not mean that the next is; and moderated
        # probabilities are known at the end alone
        one_start = template.n_init == 1 and not template.moderated
        self.watches = task.racing and held_out.by_rows and one_start

    def fit(self, number):
        """Fit an alpha; return whether it is clearly behind, and its mean loss."""
        began = perf_counter()
        alpha = self.task.candidates[number]
        problem = replace(self.problem, alpha=alpha)
        self.template.alpha = alpha
        watch = None
        if self.watches and self.rival is not None:
            watch = HeldOutWatch(
                lambda theta: self.held_out.losses(self.fitted(problem, theta)),
                self.rival,
            )
        try:
            fits = self.minimised(problem, watch)
        except NonFiniteObjectiveError as error:
            self.trials.append(
                Trial(
                    number,
                    self.task.fold,
                    np.nan,
                    False,
                    0.0,
                    advice=f"failed: {error}",
                )
            )
            return True, np.inf
        solution = fits.best.solution
        complete = solution.record["reason"] != "stopped"
        losses, score = self.scored(problem, solution.theta, watch, complete)
        seconds = perf_counter() - began
        self.trials.append(
            Trial(
                number,
                self.task.fold,
                score,
                complete,
                seconds,
                losses,
                fits.advice() if complete else None,
            )
        )
        return self.compared(losses, complete) if losses is not None else (False, 0.0)

    def minimised(self, problem, watch):
        """Fit as PairedMLPClassifier does, from the same start for each alpha."""
        template = self.template
        state = check_random_state(template.random_state)
        grow = template._grows(problem)
        starts = new_starts(template, problem, (None, None), grow, state)
        plan = replace(self.plan, listener=watch)
        fits = fit_from_starts(problem, starts, plan)
        if fits.interrupt.is_set():  # Ctrl-C ends the search, not a fit of it
            raise KeyboardInterrupt
        return fits

    def fitted(self, problem, theta):
        """Return a classifier with these parameters."""
        fitted = copy(self.template)
        vars(fitted).update(_fitted_parameters(problem, theta))
        return fitted

    def scored(self, problem, theta, watch, complete):
        """Return the losses of the rows, if the score is their mean, and the score."""
        if not complete:
            return watch.losses, self.held_out.score_of(watch.losses)
        fitted = self.fitted(problem, theta)
        if fitted.moderated:
            fitted._moderate(problem, theta)
        if not self.held_out.by_rows:
            return None, self.held_out.score(fitted)
        losses = self.held_out.losses(fitted)
        return losses, self.held_out.score_of(losses)

    def compared(self, losses, complete):
        """Compare with the best of the fold, and replace it if these are better."""
        this = Rival(losses, self.held_out.weights)
        if not complete:
            return True, this.mean
        if self.rival is None or this.mean < self.rival.mean:
            self.rival = this
            return False, this.mean
        return self.rival.leads(losses), this.mean
