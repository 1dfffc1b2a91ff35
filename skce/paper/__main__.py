"""Command line: `python -m skce.paper --help`."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from skce._support.optional import optional
from skce.paper._errata import errata, figure_1_minimum
from skce.paper._tables import figure_1, figure_2, report, tutorial_figure
from skce.paper.sweep import figure_map, map_protocols
from skce.paper.trials import Protocol, run_trials


def main(argv=None):
    """Run the experiment, write CSV and PNG files, and print every table."""
    options = _parse(argv)
    optional("matplotlib", "python -m skce.paper")
    protocol = Protocol(options.hidden, options.max_iter, options.alpha)
    run = {"seed": options.seed, "n_jobs": options.n_jobs, "progress": True}
    trials = run_trials(options.trials, [protocol], **run)
    trials.to_csv(options.output / "trials.csv", index=False)
    map_trials = None
    if options.map:
        map_trials = run_trials(options.map, map_protocols(), **run)
        map_trials.to_csv(options.output / "map_trials.csv", index=False)
    tables = report(trials, map_trials, options.seed)
    for name, (_, table) in tables.items():
        table.to_csv(options.output / f"{name}.csv")
    for name, figure in _figures(tables).items():
        figure.savefig(options.output / f"{name}.png", dpi=120)
    texts = [f"{i}. {text}\n" for i, text in enumerate(errata(trials), start=1)]
    (options.output / "errata.txt").write_text("".join(texts), encoding="utf-8")

    print(
        f"{options.trials} trials, seed {options.seed}: 4 Gaussian classes with means "
        "(+-1, +-1), 100 cases of each to train and\n100 to test; "
        f"{protocol.hidden} hidden units, weights from (-1, 1), L-BFGS stopped after "
        f"{protocol.max_iter} iterations, alpha {protocol.alpha:g}"
    )
    for name, (title, table) in tables.items():
        if name != "map":  # long; `map_rankings` and the figures show the same
            print(f"\n{name.replace('_', ' ')}: {title}")
            print(table.to_string(float_format=_digits, na_rep="-"))
    print("\nerrata of the paper", *texts, figure_1_minimum(), sep="\n")
    print(f"\nCSV and PNG files are in {options.output}.")


def _figures(tables):
    """Draw the figures of the paper, and those of the sweep if it was run."""
    figures = {
        "figure_1": figure_1().figure_,
        "figure_2": figure_2().figure_,
        "tutorial": tutorial_figure().figure_,
    }
    if "map" in tables:
        _, table = tables["map"]
        for column in ("quantity_4", "mean_diagonal"):
            figures[f"map_{column}"] = figure_map(table, column)
    return figures


def _digits(number):
    """Format with four decimals, or with three digits below 0.001."""
    number = round(number, 13) + 0.0  # no rounding errors of a zero, and no -0
    return f"{number:.2e}" if 0 < abs(number) < 1e-3 else f"{number:.4f}"


def _parse(argv):
    """Return the options of a command line, or exit with a message."""
    parser = _parser()
    options = parser.parse_args(argv)
    minima = {"trials": 2, "hidden": 1, "max_iter": 1, "alpha": 0, "seed": 0}
    for name, minimum in minima.items():
        value = getattr(options, name)
        if not minimum <= value < np.inf:
            flag = name.replace("_", "-")
            parser.error(f"--{flag} {value} must be finite and at least {minimum}")
    if options.map == 1 or options.map < 0:
        parser.error(f"--map {options.map} must be at least 2")
    if options.n_jobs == 0:
        parser.error("--n-jobs 0 must be positive, or -1 for all cores")
    try:  # now, and not after a long run
        options.output.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=options.output):
            pass
    except OSError as error:
        parser.error(f"--output {options.output} cannot be written to: {error}")
    return options


def _parser():
    protocol = Protocol()
    parser = argparse.ArgumentParser(
        prog="python -m skce.paper",
        description="The tables and figures of Dunne & Campbell, recomputed beside the "
        "published ones.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--trials", type=int, default=100, help="number of trials, at least 2")
    add("--hidden", type=int, default=protocol.hidden, help="hidden units")
    add("--max-iter", type=int, default=protocol.max_iter, help="L-BFGS iterations")
    add("--alpha", type=float, default=protocol.alpha, help="strength of the L2 term")
    add(
        "--map",
        type=int,
        nargs="?",
        const=25,
        default=0,
        metavar="TRIALS",
        help="also sweep hidden units, training length and alpha, with this many "
        "trials (25 if no number is given; ten seconds per trial on two cores)",
    )
    add("--n-jobs", type=int, default=1, help="number of processes")
    add("--seed", type=int, default=0, help="seed of the simulated data")
    add("--output", type=Path, default=Path("paper"), help="output folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
