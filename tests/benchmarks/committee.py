"""Averaging ten starts against one, the best of ten, and bagging, on ten tables.

    python tests/benchmarks/committee.py --tables FOLDER --csv committee.csv
    python tests/benchmarks/committee.py --tables FOLDER --search --folds 3

FOLDER has CSV files as for quality.py, from which those of `TABLES` are taken. Two
settings: the defaults, and a small network with a weak L2 term, of which the starts end
in different minima. --search: a small network with alpha by cross-validation, without
bagging and without the two largest tables; it takes about half an hour.
"""

import argparse

import pandas as pd
from quality import measure, tables
from sklearn.ensemble import BaggingClassifier

from skce import PairedMLPClassifier, PairedMLPClassifierCV

TABLES = (
    *("iris", "wine", "breast_cancer", "digits", "vowel", "glass", "sonar"),
    *("soybean", "pima-uci", "breast-wisconsin", "zoo"),
)
LARGE = ("digits", "soybean")
SETTINGS = {
    "defaults": {},
    "20 units, alpha=0.1": {"hidden_layer_sizes": 20, "alpha": 0.1},
}
SEARCHED = {"20 units, alpha by cross-validation": {"hidden_layer_sizes": 20}}
STARTS = {"n_init": 10, "random_state": 0}


def models(parameters, search):
    """Return functions that make the models, by name."""
    kind = PairedMLPClassifierCV if search else PairedMLPClassifier

    def bagging():
        return BaggingClassifier(
            PairedMLPClassifier(**parameters), n_estimators=10, random_state=0
        )

    found = {
        "one start": lambda: kind(random_state=0, **parameters),
        "best of 10": lambda: kind(**STARTS, **parameters),
        "average of 10": lambda: kind(average_starts=True, **STARTS, **parameters),
    }
    return found if search else found | {"bagging of 10": bagging}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", help="folder of CSV files")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--search", action="store_true", help="alpha by a search")
    parser.add_argument("--csv", help="file for the results")
    options = parser.parse_args()
    columns = ["log_loss", "accuracy", "seconds", "warnings"]
    rows = []
    for table, frame, y in tables(options.tables):
        if table not in TABLES or (options.search and table in LARGE):
            continue
        for setting, parameters in (SEARCHED if options.search else SETTINGS).items():
            for name, make in models(parameters, options.search).items():
                found = measure(frame, y, make, options.folds)
                row = dict(zip(columns, found, strict=True))
                rows.append({"setting": setting, "table": table, "model": name, **row})
        print(table, frame.shape, flush=True)
    results = pd.DataFrame(rows)
    if options.csv:
        results.to_csv(options.csv, index=False)
    order = list(models({}, options.search))
    for setting, part in results.groupby("setting"):
        wide = part.pivot(index="table", columns="model", values=columns[:3])
        print(f"\n{setting}")
        for column in columns[:3]:
            print(f"\n{column}\n{wide[column][order].round(3).to_string()}")


if __name__ == "__main__":
    main()
