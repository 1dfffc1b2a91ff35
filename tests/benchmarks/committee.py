"""Averaging ten starts against one, the best of ten, and bagging, on ten tables.

    python tests/benchmarks/committee.py --tables FOLDER --csv committee.csv

FOLDER has CSV files as for quality.py, from which those of `TABLES` are taken. Two
settings: the defaults, and a small network with a weak L2 term, of which the starts end
in different minima.
"""

import argparse

import pandas as pd
from quality import measure, tables
from sklearn.ensemble import BaggingClassifier

from skce import PairedMLPClassifier

TABLES = (
    *("iris", "wine", "breast_cancer", "digits", "vowel", "glass", "sonar"),
    *("soybean", "pima-uci", "breast-wisconsin", "zoo"),
)
SETTINGS = {
    "defaults": {},
    "20 units, alpha=0.1": {"hidden_layer_sizes": 20, "alpha": 0.1},
}
STARTS = {"n_init": 10, "random_state": 0}


def models(parameters):
    """Return functions that make the models, by name."""

    def bagging():
        return BaggingClassifier(
            PairedMLPClassifier(**parameters), n_estimators=10, random_state=0
        )

    return {
        "one start": lambda: PairedMLPClassifier(random_state=0, **parameters),
        "best of 10": lambda: PairedMLPClassifier(**STARTS, **parameters),
        "average of 10": lambda: PairedMLPClassifier(
            average_starts=True, **STARTS, **parameters
        ),
        "bagging of 10": bagging,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", help="folder of CSV files")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--csv", help="file for the results")
    options = parser.parse_args()
    columns = ["log_loss", "accuracy", "seconds", "warnings"]
    rows = []
    for table, frame, y in tables(options.tables):
        if table not in TABLES:
            continue
        for setting, parameters in SETTINGS.items():
            for name, make in models(parameters).items():
                found = measure(frame, y, make, options.folds)
                row = dict(zip(columns, found, strict=True))
                rows.append({"setting": setting, "table": table, "model": name, **row})
        print(table, frame.shape, flush=True)
    results = pd.DataFrame(rows)
    if options.csv:
        results.to_csv(options.csv, index=False)
    order = list(models({}))
    for setting, part in results.groupby("setting"):
        wide = part.pivot(index="table", columns="model", values=columns[:3])
        print(f"\n{setting}")
        for column in columns[:3]:
            print(f"\n{column}\n{wide[column][order].round(3).to_string()}")


if __name__ == "__main__":
    main()
