"""Quality without tuning: cross-validated log loss, accuracy and seconds, by table.

    python tests/benchmarks/quality.py --tables FOLDER --csv quality.csv

FOLDER has CSV files, perhaps compressed, with the labels in the column "class". Four
tables of scikit-learn and three curved ones come in addition, or alone without
--tables. Numbers are imputed by their median and scaled to variance 1, words are
one-hot: for all models alike. The folds are stratified and shuffled; of a table with
10 000 rows or more the first one alone is used. Probabilities are clipped at 1e-15.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from skce import PairedMLPClassifier, PairedMLPClassifierCV
from skce.study._tables import prepared

REFERENCE = "MLPClassifier"
MODELS = {
    REFERENCE: lambda: MLPClassifier(random_state=0),
    "LogisticRegression": lambda: LogisticRegression(max_iter=2000),
    "HistGradientBoosting": lambda: HistGradientBoostingClassifier(random_state=0),
    "PairedMLPClassifier": lambda: PairedMLPClassifier(random_state=0),
    "PairedMLPClassifierCV": lambda: PairedMLPClassifierCV(random_state=0),
    "alpha=1e-4": lambda: PairedMLPClassifier(random_state=0, alpha=1e-4),
}
MAX_ROWS = 10_000  # from which on one fold is enough


def spirals(n=200):
    rng = np.random.RandomState(0)
    angle = rng.uniform(0.5, 3, n) * np.pi
    arm = np.c_[angle * np.cos(angle), angle * np.sin(angle)]
    return np.r_[arm, -arm] + 0.4 * rng.normal(size=(2 * n, 2)), np.repeat([0, 1], n)


def tables(folder):
    """Yield names, frames and labels."""
    for name in ("iris", "wine", "breast_cancer", "digits"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield name, pd.DataFrame(X), y
    curved = {
        "moons": datasets.make_moons(400, noise=0.25, random_state=0),
        "circles": datasets.make_circles(400, noise=0.1, factor=0.6, random_state=0),
        "spirals": spirals(),
    }
    for name, (X, y) in curved.items():
        yield name, pd.DataFrame(X), y
    for path in sorted(Path(folder).glob("*.csv*")) if folder else []:
        frame = pd.read_csv(path)
        labels = frame.pop("class").astype(str).to_numpy()
        yield path.name.split(".")[0], frame, labels


def measure(frame, y, make, n_folds):
    """Return the mean log loss, accuracy, seconds and number of warnings."""
    classes, codes = np.unique(y, return_inverse=True)
    cv = StratifiedKFold(n_folds, shuffle=True, random_state=0)
    folds = list(cv.split(codes, codes))
    found = []
    for train, test in folds if len(y) < MAX_ROWS else folds[:1]:
        X, X_test = prepared(frame, train, test)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            began = time.perf_counter()
            model = make().fit(X, y[train])
            seconds = time.perf_counter() - began
        p = np.full((len(test), len(classes)), 1e-15)
        p[:, np.searchsorted(classes, model.classes_)] = model.predict_proba(X_test)
        p = np.clip(p, 1e-15, 1)
        p /= p.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(len(test)), codes[test]]).mean()
        accuracy = np.mean(p.argmax(axis=1) == codes[test])
        found.append((loss, accuracy, seconds, len(caught)))
    return np.mean(found, axis=0)


def report(results):
    """Print, for each model, the log loss over that of the reference, and the rest."""
    loss, accuracy, seconds, warned = (
        results.pivot(index="table", columns="model", values=name)
        for name in ("log_loss", "accuracy", "seconds", "warnings")
    )
    ratio = loss.div(loss[REFERENCE], axis=0)
    print(ratio.round(2).to_string())
    rows = pd.DataFrame(
        {
            "geometric mean": np.exp(np.log(ratio).mean()),
            "worst": ratio.max(),
            "on": ratio.idxmax(),
            "better on": (ratio < 1).sum(),
            "accuracy": accuracy.mean(),
            "seconds": seconds.mean(),
            "tables with warnings": (warned > 0).sum(),
        }
    )
    print(f"\n{len(ratio)} tables")
    print(rows.loc[[m for m in MODELS if m in rows.index]].round(3).to_string())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", help="folder of CSV files")
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", help="file for the results")
    options = parser.parse_args()
    names = dict.fromkeys([REFERENCE, *options.models])
    rows = []
    for table, frame, y in tables(options.tables):
        found = Parallel(options.jobs)(
            delayed(measure)(frame, y, MODELS[name], options.folds) for name in names
        )
        rows += [(table, name, *each) for name, each in zip(names, found, strict=True)]
        print(table, frame.shape, flush=True)
    columns = ["table", "model", "log_loss", "accuracy", "seconds", "warnings"]
    results = pd.DataFrame(rows, columns=columns)
    if options.csv:
        results.to_csv(options.csv, index=False)
    report(results)


if __name__ == "__main__":
    main()
