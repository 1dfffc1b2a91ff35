"""A search: rounds of folds, after each of which candidates are dropped."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from skce.search._candidates import Candidate
from skce.search._fold import FoldTask, SearchData, Trial
from skce.search._racing import (
    Rival,
    behind_by_folds,
    cannot_win,
    clearly_behind,
    mean_loss,
)

__all__ = ["Refit", "Search", "rounds_of"]

# Rows x parameters x fits of a round from which processes pay: less takes L-BFGS up to
# 0.2 seconds, of which two processes save a third at most, after 1 to 3 for their start
MIN_WORK_OF_PROCESSES = 2**23

Round = list[tuple[Any, int]]  # of (group, fold)


def rounds_of(groups: list[Any], n_folds: int) -> Iterator[Round]:
    """Yield what is fitted side by side: pairs of a group and a fold.

    The first group on two folds, the others on the first of them, against it, then on
    the second; then all on twice as many folds each time. It depends on nothing else,
    so that the results are the same for any number of processes.
    """
    first, others = groups[:1], groups[1:]
    yield [(group, fold) for fold in range(min(2, n_folds)) for group in first]
    if others:
        for fold in range(min(2, n_folds)):
            yield [(group, fold) for group in others]
    begin, size = 2, 2
    while begin < n_folds:
        folds = range(begin, min(begin + size, n_folds))
        yield [(group, fold) for fold in folds for group in groups]
        begin, size = begin + size, size * 2


@dataclass(frozen=True)
class Refit:
    """A classifier fitted to all rows, perhaps in another process.

    Attributes
    ----------
    classifier : PairedMLPClassifier
    warnings : list of (str, type)
        Issued by its fit.
    """

    classifier: Any
    warnings: list[tuple[str, type[Warning]]]


def _refit(classifier, data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier._fit(data.training(), checkpoint=None)
    return Refit(classifier, [(str(one.message), one.category) for one in caught])


def _call(task, data, train, test):
    return task(data, train, test)


@dataclass
class Search:
    """Candidates, folds, and what is known about them so far.

    Attributes
    ----------
    candidates : list of Candidate
    templates : dict of Group to PairedMLPClassifier
        Unfitted, with the pair and the layer sizes, and an integer random_state.
    data : SearchData
    folds : list of (train, test)
    racing : bool
    n_jobs : int or None
    verbose : bool
    trials : dict of (candidate, fold) to Trial
    alive : list of int
        Candidates that are not given up.
    """

    candidates: list[Candidate]
    templates: dict[Any, Any]
    data: SearchData
    folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]]
    racing: bool
    n_jobs: int | None
    verbose: bool
    trials: dict[tuple[int, int], Trial] = field(default_factory=dict)
    alive: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.alive = list(range(len(self.candidates)))

    def run(self, classifier_for: Callable[[int], Any] | None) -> Refit | None:
        """Fit and score all candidates on all folds, except those given up.

        The race ends once a single one is left that has the scores of two folds. Its
        fits that were given up are then made in full, side by side with the fit to all
        rows.

        Parameters
        ----------
        classifier_for : callable or None
            Returns the unfitted classifier of a candidate; None for no refit.

        Returns
        -------
        refit : Refit or None
        """
        for number, pairs in enumerate(self._rounds(), start=1):
            if self.racing and self._decided:
                break
            tasks = [self._task(group, fold) for group, fold in pairs]
            tasks = [task for task in tasks if task.candidates]
            self._perform(tasks)
            self._drop(tasks)
            if self.verbose:
                self._print(number, {task.fold for task in tasks})
        chosen, refit = None, None
        # a complete fit may score worse than where it was given up
        while (best := self.best) is not None and best != chosen:
            chosen, refit = best, self._complete(best, classifier_for)
        if self.verbose and chosen is not None:
            print(f"chosen, {self._rank(chosen)[0]:.4g}: {self.candidates[chosen]}")
        return refit

    @property
    def _decided(self) -> bool:
        """Whether no candidate is left, or a single one with the scores of two folds.

        The race begins with two folds of the first group, but one of the others.
        """
        if len(self.alive) > 1:
            return False
        return all(len(self._trials_of(i)) > 1 for i in self.alive)

    def _complete(
        self, i: int, classifier_for: Callable[[int], Any] | None
    ) -> Refit | None:
        """Complete the fits of a candidate that were given up; fit it to all rows."""
        group, alphas = self.candidates[i].group, {i: self.candidates[i].alpha}
        tasks = [
            FoldTask(self.templates[group], alphas, fold, racing=False, first=False)
            for fold in range(len(self.folds))
            if (i, fold) in self.trials and not self.trials[i, fold].complete
        ]
        if classifier_for is None:
            self._perform(tasks)
            return None
        classifier = classifier_for(i)
        if not tasks:  # here, with threads over blocks of rows
            return _refit(classifier, self.data)
        return self._perform(tasks, [delayed(_refit)(classifier, self.data)])[0]

    def _rounds(self) -> Iterable[Round]:
        groups = list(self.templates)
        if self.racing:
            return rounds_of(groups, len(self.folds))
        folds = range(len(self.folds))
        return [[(group, fold) for fold in folds for group in groups]]

    def _perform(self, tasks: list[FoldTask], others: Sequence[Any] = ()) -> list[Any]:
        """Keep the trials of tasks; return the results of other calls beside them."""
        work = sum(self._work(task) for task in tasks)
        n_jobs = self.n_jobs if work >= MIN_WORK_OF_PROCESSES else 1
        results = Parallel(n_jobs=n_jobs)(
            [delayed(_call)(task, self.data, *self.folds[task.fold]) for task in tasks]
            + list(others)
        )
        for trials in results[: len(tasks)]:
            for trial in trials:
                self.trials[trial.candidate, trial.fold] = trial
        self.alive = [i for i in self.alive if not self._failed(i)]
        return results[len(tasks) :]

    def _work(self, task: FoldTask) -> float:
        """Return the rows x parameters of the fits of a task, inf if unknown."""
        template, (train, _) = task.template, self.folds[task.fold]
        if template.solver != "lbfgs" or template.moderated:
            return np.inf  # what takes longer depends on the problem
        sizes = self.data.X.shape[1], *template.hidden_layer_sizes, self.data.n_classes
        n_parameters = sum(n_out * (n_in + 1) for n_in, n_out in pairwise(sizes))
        return len(train) * n_parameters * len(task.candidates) * template.n_init

    def _task(self, group: Any, fold: int) -> FoldTask:
        """Make the task of a group on a fold, with its candidates in order."""
        members = [i for i in self.alive if self.candidates[i].group == group]
        known = any(i in members for i, _ in self.trials)
        # the best first, as the others are compared with it
        members.sort(key=self._rank, reverse=True)
        alphas = {i: self.candidates[i].alpha for i in members}
        template, rival = self.templates[group], self._rival(fold)
        return FoldTask(template, alphas, fold, self.racing, not known, rival)

    def _rival(self, fold: int) -> Rival | None:
        """Return the best complete fit of a fold, of the candidates left."""
        weights = self.data.weights(self.folds[fold][1])
        trials = [self.trials.get((i, fold)) for i in self.alive]
        rivals = [
            Rival(trial.losses, weights)
            for trial in trials
            if trial is not None and trial.complete and trial.losses is not None
        ]
        return min(rivals, key=lambda rival: rival.mean, default=None)

    def _trials_of(self, i: int) -> list[Trial]:
        folds = range(len(self.folds))
        return [self.trials[i, fold] for fold in folds if (i, fold) in self.trials]

    def _rank(self, i: int) -> tuple[float, float]:
        """Sort key, greatest for the best: the mean score, then alpha."""
        scores = [trial.score for trial in self._trials_of(i)]
        alpha = self.candidates[i].alpha
        return (float(np.mean(scores)) if scores else -np.inf), alpha

    @property
    def best(self) -> int | None:
        """The best mean score of those left, and of equal ones the larger alpha."""
        return max(self.alive, key=self._rank, default=None)

    def _failed(self, i: int) -> bool:
        return any(np.isnan(trial.score) for trial in self._trials_of(i))

    def _drop(self, tasks: list[FoldTask]) -> None:
        """Drop candidates that were left out, and those that cannot win."""
        asked = {(i, task.fold) for task in tasks for i in task.candidates}
        left_out = {i for i, _ in asked - self.trials.keys()}
        self.alive = [i for i in self.alive if i not in left_out]
        folds = [
            fold
            for fold in range(len(self.folds))
            if all((i, fold) in self.trials for i in self.alive)
        ]
        if not self.racing or not folds or not self.alive:
            return
        if any(self.trials[i, folds[0]].losses is None for i in self.alive):
            self._race_by_folds(folds)
        else:
            self._race_by_rows(folds)

    def _race_by_rows(self, folds: list[int]) -> None:
        """Drop what was given up or cannot win, except for the best so far."""
        rows = np.concatenate([self.folds[fold][1] for fold in folds])
        weights = np.concatenate([self._shares(fold) for fold in folds])
        losses = {
            i: np.concatenate([self.trials[i, fold].losses for fold in folds])
            for i in self.alive
        }
        best = min(self.alive, key=lambda i: mean_loss(losses[i], weights))
        # a row that is held out several times tells little more than once
        inflation = float(np.sqrt(len(rows) / len(np.unique(rows))))

        def stays(i):
            if i == best:
                return True
            if not all(self.trials[i, fold].complete for fold in folds):
                return False
            if self.candidates[i].alpha > self.candidates[best].alpha:
                return not clearly_behind(losses[i], losses[best], weights, inflation)
            return not cannot_win(losses[i], losses[best], weights, inflation=inflation)

        self.alive = [i for i in self.alive if stays(i)]

    def _shares(self, fold: int) -> NDArray[np.float64]:
        """Return weights of the rows of a fold that sum to 1: folds count alike."""
        test = self.folds[fold][1]
        weights = self.data.weights(test)
        weights = np.ones(len(test)) if weights is None else weights
        return np.asarray(weights / weights.sum())

    def _race_by_folds(self, folds: list[int]) -> None:
        """Drop what is clearly behind the best, by the scores of the folds."""
        scores = {
            i: np.array([self.trials[i, fold].score for fold in folds])
            for i in self.alive
        }
        best = max(self.alive, key=lambda i: scores[i].mean())
        ratio = np.mean([len(test) / len(train) for train, test in self.folds])
        self.alive = [
            i
            for i in self.alive
            if i == best or not behind_by_folds(scores[i], scores[best], float(ratio))
        ]

    def _print(self, number: int, folds: set[int]) -> None:
        names = ", ".join(str(fold + 1) for fold in sorted(folds))
        text = ""
        if self.best is not None:
            score, _ = self._rank(self.best)
            text = f"; best {score:.4g}: {self.candidates[self.best]}"
        print(
            f"round {number}: folds {names} of {len(self.folds)}; {len(self.alive)} of "
            f"{len(self.candidates)} candidates left{text}"
        )
