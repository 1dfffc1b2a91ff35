"""Trials of a study: each pair with its own alpha on each outer fold, and its file."""

import csv
import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.utils.parallel import Parallel, delayed

from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier
from skce.losses.pairings import pair, pairing_grid
from skce.search import PairedMLPClassifierCV
from skce.search._candidates import check_alphas
from skce.search._scoring import ROW_LOSSES
from skce.study._results import SCORES
from skce.study._tables import prepared

__all__ = ["Journal", "Settings", "calibration_error", "estimated_seconds", "run_fold"]

PAIRS = tuple(
    (grid["activation"][0], grid["penalty"][0]) for grid in pairing_grid(ordered=True)
)
# Seconds of a search over those of as many fits as it has alphas and inner folds: the
# median on tables of 150 to 1000 rows, over all pairs
SEARCH_PER_FIT = 0.5


@dataclass(frozen=True)
class Settings:
    """What the results depend on besides the tables.

    Attributes
    ----------
    folds, inner_folds : int
        Folds that score, and folds of their training rows that choose alpha.
    alphas : tuple of float
        To choose from.
    scoring : str
        By which alpha is chosen.
    hidden : int
        Number of hidden units, relu.
    max_iter : int
    max_rows : int
        Of larger tables so many rows are drawn.
    seed : int
    pairs : tuple of (activation, penalty)
        By name or as instances.

    Raises
    ------
    ValueError
        If one of them cannot be used.
    """

    folds: int = 5
    inner_folds: int = 3
    alphas: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    scoring: str = "neg_log_loss"
    hidden: int = 100
    max_iter: int = 1000
    max_rows: int = 1000
    seed: int = 0
    pairs: tuple[tuple[Any, Any], ...] = PAIRS

    def __post_init__(self) -> None:
        check_alphas(list(self.alphas))
        if self.scoring not in ROW_LOSSES:
            raise ValueError(
                f"scoring={self.scoring!r} must be one of {', '.join(ROW_LOSSES)}"
            )
        minima = {"folds": 2, "inner_folds": 2, "hidden": 1, "max_iter": 1}
        for name, minimum in (minima | {"max_rows": 1, "seed": 0}).items():
            value = getattr(self, name)
            if value < minimum:
                raise ValueError(f"{name}={value} must be at least {minimum}")

    @property
    def pair_names(self) -> list[str]:
        """Names of the pairs."""
        return [str(pair(*names)) for names in self.pairs]

    @property
    def min_members(self) -> int:
        """Rows of a class, of which each inner training fold then has one or more."""
        return 2 * max(self.folds, self.inner_folds)

    def splits(self, table):
        """Return the outer folds, pairs of training and test rows."""
        cv = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
        return list(cv.split(table.labels, table.labels))

    def search(self, activation, penalty):
        """Return the unfitted search of alpha for a pair."""
        return PairedMLPClassifierCV(
            activation,
            penalty,
            hidden_layer_sizes=self.hidden,
            max_iter=self.max_iter,
            alphas=self.alphas,
            scoring=self.scoring,
            cv=self.inner_folds,
            random_state=self.seed,
            n_jobs=1,
        )


def run_fold(table, fold, settings, n_jobs=None):
    """Search alpha for each pair within the training rows, and score the test rows.

    Returns
    -------
    rows : list of dict
        One per pair, in their order.
    """
    train, test = settings.splits(table)[fold]
    X, X_test = prepared(table.frame, train, test)
    y, y_test = table.labels[train], table.labels[test]
    n, n_features, n_classes = table.shape
    facts = {"table": table.name, "rows": n, "features": n_features}
    facts |= {"classes": n_classes, "fold": fold}
    trials = Parallel(n_jobs=n_jobs)(
        delayed(_trial)(settings.search(*names), X, y, X_test, y_test)
        for names in settings.pairs
    )
    return [
        facts | {"pair": name} | trial
        for name, trial in zip(settings.pair_names, trials, strict=True)
    ]


def _trial(search, X, y, X_test, y_test):
    """Return alpha, scores, seconds and trouble; without scores where the fit fails."""
    began = perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _fit(search, X, y)
            found = {"alpha": search.alpha_}
            found |= scores(search.predict_proba(X_test), y_test)
            trouble = "; ".join(sorted({one.category.__name__ for one in caught}))
        except Exception as error:  # which the file records
            found = {}
            text = " ".join(str(error).partition(". ")[0].split())
            trouble = f"{type(error).__name__}: {text}"
    empty = dict.fromkeys(["alpha", *SCORES], np.nan)
    return empty | found | {"seconds": perf_counter() - began, "trouble": trouble}


def _fit(classifier, X, y):
    """Fit; Ctrl-C, at which a fit keeps its weights and ends, ends the study."""
    classifier.fit(X, y)
    if classifier.solver_result_["reason"] == "interrupted":
        raise KeyboardInterrupt


def scores(p, labels):
    """Return the scores of probabilities (n, n_classes) as a dict.

    Log loss in nats, with P clipped at the machine epsilon, Brier score from 0 to 2,
    accuracy, and `calibration_error` of the most probable class.
    """
    rows = np.arange(len(p))
    at_class = p[rows, labels].clip(min=np.finfo(p.dtype).eps)
    residuals = p.copy()
    residuals[rows, labels] -= 1
    correct = p.argmax(axis=1) == labels
    return {
        "log_loss": -np.log(at_class).mean(),
        "brier_score": (residuals**2).sum(axis=1).mean(),
        "accuracy": correct.mean(),
        "calibration_error": calibration_error(p.max(axis=1), correct),
    }


def calibration_error(confidence, correct, n_bins=10):
    """Squared gap between confidence and accuracy, debiased, averaged over bins.

    The rows are sorted by confidence into bins of equal size. With g_i = correct_i -
    confidence_i, the mean of g_i g_j over the pairs of different rows of a bin is an
    unbiased estimate of the square of the mean gap (the square of the mean of g is too
    large by the variance of that mean). It can be negative.
    """
    gaps = np.asarray(correct) - np.asarray(confidence)
    gaps = gaps[np.argsort(confidence, kind="stable")]
    total = 0.0
    for gap in np.array_split(gaps, max(1, min(n_bins, len(gaps) // 2))):
        n = len(gap)
        total += (gap.sum() ** 2 - (gap**2).sum()) / (n - 1)
    return total / len(gaps)


def estimated_seconds(table, settings):
    """Estimate the seconds of one outer fold from one fit of the default pair."""
    train, test = settings.splits(table)[0]
    began = perf_counter()
    X, _ = prepared(table.frame, train, test)
    classifier = PairedMLPClassifier(
        hidden_layer_sizes=settings.hidden,
        max_iter=settings.max_iter,
        random_state=settings.seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _fit(classifier, X, table.labels[train])
    n_fits = settings.inner_folds * len(settings.alphas) * SEARCH_PER_FIT
    return (perf_counter() - began) * n_fits * len(settings.pairs)


class Journal:
    """The file of a study: its settings, then a row per trial, fold by fold.

    Parameters
    ----------
    path : Path
        Made if it is not there; otherwise the study goes on where it ended.
    settings : Settings

    Attributes
    ----------
    done : dict of (table, fold) to (rows, features, classes)

    Raises
    ------
    ValueError
        If the file has other settings, or is none of a study.
    """

    def __init__(self, path, settings):
        self.path = Path(path)
        self.done = {}
        facts = asdict(settings) | {"pairs": settings.pair_names}
        self.head = f"# {json.dumps(facts)}"
        self._n_bytes = 0
        if self.path.exists():
            self._resume(len(settings.pairs))

    def append(self, rows):
        """Add the rows of one fold; they are on the disk when this returns."""
        frame = optional("pandas", "python -m skce.study").DataFrame(rows)
        new = self._n_bytes == 0
        text = frame.to_csv(index=False, header=new, float_format="%.5g")
        with self.path.open("a", encoding="utf-8", newline="") as file:
            if file.tell() != self._n_bytes:
                raise ValueError(
                    f"{self.path} is written by another process too: stop one of them, "
                    "or write to another folder."
                )
            file.write(f"{self.head}\n{text}" if new else text)
            file.flush()
            os.fsync(file.fileno())
            self._n_bytes = file.tell()
        self._note(rows[0])

    def _note(self, row):
        shape = row["rows"], row["features"], row["classes"]
        self.done[row["table"], row["fold"]] = shape

    def _resume(self, n_pairs):
        """Check the settings; drop the rows of a fold that was cut off."""
        head, _, text = self.path.read_text(encoding="utf-8").partition("\n")
        if head != self.head:
            raise ValueError(f"{self.path} {_difference(head, self.head)}")
        lines = text.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        kept = whole[: 1 + (len(whole) - 1) // n_pairs * n_pairs]
        if not kept:
            self.path.unlink()
        elif kept != lines:
            part = self.path.with_suffix(".part")
            part.write_text("".join([head, "\n", *kept]), encoding="utf-8")
            part.replace(self.path)
        for row in list(csv.DictReader(kept))[::n_pairs]:
            numbers = {k: int(row[k]) for k in ("rows", "features", "classes", "fold")}
            self._note(row | numbers)
        self._n_bytes = self.path.stat().st_size if kept else 0


def _difference(head, wanted):
    """Say how the first line of a file differs from the one that is wanted."""
    try:
        found, wanted = (json.loads(text.removeprefix("# ")) for text in (head, wanted))
        names = [name for name in wanted if found.get(name) != wanted[name]]
    except (ValueError, AttributeError):
        return "is not the results of a study: write to another folder."
    told = [f"{name}={found.get(name)} instead of {wanted[name]}" for name in names]
    remedy = "Take those of the file, or write to another folder."
    return f"has other settings: {', '.join(told)}. {remedy}"
