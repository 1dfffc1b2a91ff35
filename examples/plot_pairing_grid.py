"""
Which pair for which data?
==========================

Compare all pairs of output activation and penalty on two data sets of scikit-learn: a
grid search by log loss, a table of all pairs, and the performance of the
chosen pair on folds that were not used for the choice. The script prints the tables and
saves the figure, beside itself or where `--output` says.
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnail_pairing_grid.png"

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    cross_validate,
)
from tqdm import tqdm

from skce import PairedMLPClassifier, pairing_grid

DATA = {"breast cancer": load_breast_cancer, "digits": load_digits}
# scorer: name in the table, sign that makes it the named quantity
SCORES = {
    "accuracy": ("accuracy", 1),
    "neg_log_loss": ("log loss", -1),
    "neg_brier_score": ("Brier score", -1),
}


class SearchWithProgress(GridSearchCV):
    """A grid search with a progress bar, which evaluates one candidate at a time."""

    def _run_search(self, evaluate_candidates):
        candidates = list(ParameterGrid(self.param_grid))
        for candidate in tqdm(candidates, desc=f"{self.title:>28}", unit="pair"):
            evaluate_candidates([candidate])


def classifier():
    return PairedMLPClassifier(
        hidden_layer_sizes=30, alpha=1, max_iter=5000, random_state=0
    )


def search_pairs(title, X, y, repeats, n_jobs):
    """Fit a search over all pairs, with three scores for every fold."""
    search = SearchWithProgress(
        classifier(),
        pairing_grid(),
        scoring=list(SCORES),
        refit="neg_log_loss",
        cv=RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=0),
        n_jobs=n_jobs,
    )
    search.title = title
    return search.fit(X, y)


def validate_choice(title, X, y, n_jobs):
    """Cross-validate the whole procedure, including the search."""
    inner = GridSearchCV(
        classifier(), pairing_grid(), scoring="neg_log_loss", cv=3, n_jobs=n_jobs
    )
    folds = list(StratifiedKFold(3, shuffle=True, random_state=1).split(X, y))
    results = [
        cross_validate(inner, X, y, cv=[fold], scoring=list(SCORES))
        for fold in tqdm(folds, desc=f"{title:>28}", unit="fold")
    ]
    return pd.DataFrame(
        {key: [result[f"test_{key}"][0] for result in results] for key in SCORES}
    )


def fold_scores(search):
    """Return one row per pair and fold, for the table and the figure."""
    results = search.cv_results_
    n_folds = search.n_splits_
    rows = []
    for i, parameters in enumerate(results["params"]):
        pair = f"{parameters['activation']} x {parameters['penalty']}"
        for fold in range(n_folds):
            scores = {
                name: sign * results[f"split{fold}_test_{key}"][i]
                for key, (name, sign) in SCORES.items()
            }
            rows.append({"pair": pair, **scores})
    return pd.DataFrame(rows)


def table(scores):
    """Return mean and standard deviation over the folds, best log loss first."""
    groups = scores.groupby("pair")
    mean, spread = groups.mean().sort_values("log loss"), groups.std()
    cells = {
        name: [f"{mean[name][p]:.4f} ({spread[name][p]:.4f})" for p in mean.index]
        for name in mean.columns
    }
    return pd.DataFrame(cells, index=mean.index)


def draw(all_scores, file):
    """Draw a panel per data set and score: folds as circles, means as bars."""
    names = [name for name, _ in SCORES.values()]
    fig, axes = plt.subplots(
        len(all_scores), len(names), figsize=(11, 3.4 * len(all_scores)), squeeze=False
    )
    for row, (title, scores) in zip(axes, all_scores.items(), strict=True):
        order = scores.groupby("pair")["log loss"].mean().sort_values().index[::-1]
        for ax, name in zip(row, names, strict=True):
            for height, pair in enumerate(order):
                values = scores.loc[scores["pair"] == pair, name]
                ax.plot(values, [height] * len(values), "o", ms=4, mfc="none", c="0.5")
                ax.plot(values.mean(), height, "|", ms=16, mew=3, c="C0")
            ax.set_yticks(range(len(order)), order if ax is row[0] else [])
            unit = " (nats)" if name == "log loss" else ""
            ax.set(xlabel=name + unit, title=title)
            ax.grid(axis="x", alpha=0.4)
            ax.locator_params(axis="x", nbins=5)
            if name == "log loss":
                ax.set_xscale("log")
                ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                ax.xaxis.set_minor_locator(NullLocator())
    fig.suptitle("Pairs of activation and penalty: folds (circles) and means (bars)")
    fig.tight_layout()
    fig.savefig(file, dpi=120)


def main():
    parser = argparse.ArgumentParser(description="All pairs on two data sets.")
    parser.add_argument("--repeats", type=int, default=1, help="repeats of 5-fold CV")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(sys.argv[0]).parent)
    options = parser.parse_args()

    all_scores, tables = {}, []
    for title, load in DATA.items():
        X, y = load(return_X_y=True)
        search = search_pairs(title, X, y, options.repeats, options.n_jobs)
        all_scores[title] = scores = fold_scores(search)
        validated = validate_choice(f"{title}, validation", X, y, options.n_jobs)
        chosen = search.best_estimator_.pairing_
        performance = ", ".join(
            f"{name} {sign * validated[key].mean():.4f} ({validated[key].std():.4f})"
            for key, (name, sign) in SCORES.items()
        )
        tables.append(
            f"\n{title}: {X.shape[0]} rows, {X.shape[1]} features; mean (standard "
            f"deviation) over {search.n_splits_} folds\n{table(scores).to_string()}\n"
            f"chosen by log loss: {chosen}\n"
            f"the search, cross-validated on 3 outer folds: {performance}"
        )
    print("\n".join(tables))
    print(
        "\nscikit-learn's log loss clips a probability of 0 (entmax, sparsemax, "
        "identity) for the correct class to 2e-16, which costs 36 nats."
    )
    picture = options.output / "pairing_grid.png"
    draw(all_scores, picture)
    print(f"\nfigure: {picture}")


if __name__ == "__main__":
    main()
