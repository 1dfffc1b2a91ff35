"""A search: rounds of folds, after each of which candidates are dropped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from skce.search._candidates import Candidate
from skce.search._fold import FoldTask, SearchData, Trial
from skce.search._racing import (
    Rival,
    behind_by_folds,
    is_behind,
    mean_loss,
)

__all__ = ["Search", "rounds_of"]

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


def _call(task, data, train, test):
    return task(data, train, test)


@dataclass
class Search:
    """Candidates, folds, and what is known of them so far.

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

    def run(self) -> None:
        """Fit and score all candidates on all folds, except those given up."""
        for number, pairs in enumerate(self._rounds(), start=1):
            tasks = [self._task(group, fold) for group, fold in pairs]
            tasks = [task for task in tasks if task.candidates]
            for trials in self._results(tasks):
                for trial in trials:
                    self.trials[trial.candidate, trial.fold] = trial
            self._drop({task.fold for task in tasks}, tasks)
            if self.verbose and tasks:
                self._print(number, {task.fold for task in tasks})

    def _rounds(self) -> Iterable[Round]:
        groups = list(self.templates)
        if self.racing:
            return rounds_of(groups, len(self.folds))
        folds = range(len(self.folds))
        return [[(group, fold) for fold in folds for group in groups]]

    def _results(self, tasks: list[FoldTask]) -> Any:
        return Parallel(n_jobs=self.n_jobs)(
            delayed(_call)(task, self.data, *self.folds[task.fold]) for task in tasks
        )

    def _task(self, group: Any, fold: int) -> FoldTask:
        """Make the task of a group on a fold, with its candidates in order."""
        members = [i for i in self.alive if self.candidates[i].group == group]
        fitted = any((i, f) in self.trials for i in members for f, _ in self._numbered)
        if fitted:  # the best first, as the others are compared with it
            members.sort(key=self._mean_score, reverse=True)
        else:
            members.sort(key=lambda i: self.candidates[i].alpha, reverse=True)
        alphas = {i: self.candidates[i].alpha for i in members}
        return FoldTask(
            self.templates[group],
            alphas,
            fold,
            self.racing,
            not fitted,
            self._rival(fold),
        )

    @property
    def _numbered(self):
        return enumerate(self.folds)

    def _rival(self, fold: int) -> Rival | None:
        """Return the best complete fit of a fold, of the candidates still alive."""
        trials = [self.trials.get((i, fold)) for i in self.alive]
        weights = self.data.held_out(self.folds[fold][1]).weights
        rivals = [
            Rival(trial.losses, weights)
            for trial in trials
            if trial is not None and trial.losses is not None
        ]
        return min(rivals, key=lambda rival: rival.mean, default=None)

    def scores_of(self, i: int) -> NDArray[np.float64]:
        """Return the scores of a candidate on the folds it was fitted to."""
        trials = [self.trials.get((i, fold)) for fold, _ in self._numbered]
        return np.array([trial.score for trial in trials if trial is not None])

    def _mean_score(self, i: int) -> float:
        scores = self.scores_of(i)
        return float(scores.mean()) if len(scores) else -np.inf

    def _drop(self, folds: set[int], tasks: list[FoldTask]) -> None:
        """Drop the candidates that were given up or left out, or are clearly behind."""
        asked = {(i, task.fold) for task in tasks for i in task.candidates}
        done = {key for key in asked if key in self.trials and self._complete(key)}
        lost = {i for i, _ in asked - done}
        self.alive = [i for i in self.alive if i not in lost]
        if self.racing:
            self._race()

    def _complete(self, key: tuple[int, int]) -> bool:
        return self.trials[key].complete

    def _race(self) -> None:
        """Drop what is clearly behind the best on the folds that all have done."""
        common = [
            fold
            for fold, _ in self._numbered
            if all((i, fold) in self.trials for i in self.alive)
        ]
        if not common or len(self.alive) < 2:
            return
        behind = (
            self._by_folds
            if self._losses(self.alive[0], common) is None
            else (self._by_rows)
        )
        self.alive = [i for i in self.alive if not behind(i, common)]

    def _losses(self, i: int, folds: list[int]) -> NDArray[np.float64] | None:
        """Return the losses of the held-out rows of some folds, or None."""
        parts = [self.trials[i, fold].losses for fold in folds]
        if any(part is None for part in parts):
            return None
        return np.concatenate(parts)

    def _by_rows(self, i: int, folds: list[int]) -> bool:
        """Whether a candidate is behind the best, by the losses of the rows."""
        rows = np.concatenate([self.folds[fold][1] for fold in folds])
        weights = self.data.held_out(rows).weights
        losses = {j: self._losses(j, folds) for j in self.alive}
        best = min(self.alive, key=lambda j: mean_loss(losses[j], weights))
        # a row that is held out several times tells little more than once
        inflation = np.sqrt(len(rows) / len(np.unique(rows)))
        return is_behind(losses[i], losses[best], weights, inflation)

    def _by_folds(self, i: int, folds: list[int]) -> bool:
        """Whether a candidate is behind the best, by the scores of the folds."""
        scores = {
            j: np.array([self.trials[j, fold].score for fold in folds])
            for j in self.alive
        }
        best = max(self.alive, key=lambda j: scores[j].mean())
        ratio = np.mean([len(test) / len(train) for train, test in self.folds])
        return behind_by_folds(scores[i], scores[best], float(ratio))

    def _print(self, number: int, folds: set[int]) -> None:
        names = ", ".join(str(fold + 1) for fold in sorted(folds))
        best = max(self.alive, key=self._mean_score, default=None)
        text = (
            ""
            if best is None
            else (f"; best {self._mean_score(best):.4g}: {self.candidates[best]}")
        )
        print(
            f"round {number}: folds {names} of {len(self.folds)}; {len(self.alive)} of "
            f"{len(self.candidates)} candidates left{text}"
        )

    @property
    def best(self) -> int:
        """The best mean score of those left, and of equal ones the larger alpha."""
        return max(
            self.alive,
            key=lambda i: (self._mean_score(i), self.candidates[i].alpha),
        )
