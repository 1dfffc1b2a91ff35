"""Time a revision and the working tree in turns.

    python tests/benchmarks/compare.py REV [case ...] [--turns 9]

checks REV out beside the working tree, runs each case in both by turns, and prints the
seconds and the ratio after / before of the turns: median, least and largest. The cases
use public names alone, so that any two revisions can be compared.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from timing import in_turn, once, repeated

ROOT = Path(__file__).parents[2]
HEAD = ["case", "before, ms", "after, ms", "after / before", "objectives"]


def _classifier(**parameters):
    from skce import PairedMLPClassifier

    return PairedMLPClassifier(**{"random_state": 0, **parameters})


def _fit(X, y, **parameters):
    classifier = _classifier(**parameters)
    return lambda: classifier.fit(X, y).loss_


def fit_iris():
    """What a small fit costs apart from its products."""
    from sklearn.datasets import load_iris

    return _fit(*load_iris(return_X_y=True), hidden_layer_sizes=3)


def fit_digits():
    """A fit of 1797 x 64 rows, 50 units."""
    from sklearn.datasets import load_digits

    return _fit(*load_digits(return_X_y=True), hidden_layer_sizes=50)


def fit_growing_sample():
    """A fit of 50 000 x 20 rows, 20 units, by the default stages."""
    from sklearn.datasets import make_classification

    X, y = make_classification(50_000, n_informative=8, random_state=0)
    return _fit(X, y, hidden_layer_sizes=20)


def fit_without_stages():
    """30 iterations on 20 000 x 50 rows of float32, 64 units."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 50), dtype=np.float32)
    y = rng.integers(5, size=len(X))
    fixed = {"max_iter": 30, "tol": 1e-9, "growing_sample": False}
    return _fit(X, y, hidden_layer_sizes=64, **fixed)


def fit_sparsemax():
    """A fit of a pair that is no likelihood."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return _fit(X, y, activation="sparsemax", penalty="natural", hidden_layer_sizes=20)


def predict_proba():
    """Probabilities of 500 000 x 20 rows."""
    X = np.random.default_rng(0).standard_normal((500_000, 20))
    fitted = _classifier(hidden_layer_sizes=20, max_iter=5).fit(X[:500], X[:500, 0] > 0)
    return lambda: fitted.predict_proba(X)[0, 0]


def import_skce():
    """Import in a process of its own."""
    return lambda: subprocess.run([sys.executable, "-c", "import skce"], check=True)


CASES = {
    case.__name__: case
    for case in (
        *(import_skce, fit_iris, fit_digits, fit_growing_sample),
        *(fit_without_stages, fit_sparsemax, predict_proba),
    )
}


def serve(tree):
    """In a process that imports skce from `tree`: answer names by their seconds."""
    import skce

    if Path(tree).resolve() not in Path(skce.__file__).resolve().parents:
        raise RuntimeError(f"skce was imported from {skce.__file__}, not from {tree}")
    warnings.simplefilter("ignore")
    prepared = {}
    for name in map(str.strip, sys.stdin):
        if name not in prepared:
            prepared[name] = CASES[name]()
            value = prepared[name]()  # warm
            objective = f"{value:.6g}" if name.startswith("fit") else "-"
            print(objective, flush=True)
            continue
        run = prepared[name]
        print(once(run) if name == "import_skce" else repeated(run), flush=True)


class Side:
    """A process that times the cases with the skce of one tree."""

    def __init__(self, tree):
        path = os.pathsep.join(filter(None, [str(tree), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(tree)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, name):
        """Send the name of a case; return what is answered."""
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the process of {name} ended; its error is above")
        return answer

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def checked_out(revision):
    """A folder with the files of a revision."""

    def git(*arguments):
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"compare.py: git {arguments[0]}: {done.stderr.strip()}")

    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        git("worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def compared(names, before, after, turns):
    """Yield a row of the table for each case."""
    sides = {"before": before, "after": after}
    for name in names:
        objectives = [side.ask(name) for side in sides.values()]
        functions = {key: partial(side.ask, name) for key, side in sides.items()}
        times = in_turn(functions, turns, lambda ask: float(ask()))
        median, least, most = times.ratio("after", "before")
        yield [
            name,
            *(f"{1e3 * times.median(side):.3g}" for side in sides),
            f"{median:.2f} ({least:.2f} to {most:.2f})",
            " and ".join(objectives) if len(set(objectives)) > 1 else objectives[0],
        ]


def main():
    """Run the requested cases, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", help="a commit, tag or branch, such as main")
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--turns", type=int, default=9)
    arguments = parser.parse_args()
    unknown = set(arguments.case) - set(CASES)
    if unknown:
        parser.error(f"{sorted(unknown)} are none of {', '.join(CASES)}")
    with checked_out(arguments.revision) as tree:
        sides = []
        try:
            sides += [Side(tree), Side(ROOT)]
            rows = compared(arguments.case or CASES, *sides, arguments.turns)
            for row in chain((HEAD, ["---"] * len(HEAD)), rows):
                print("| " + " | ".join(row) + " |", flush=True)
        finally:
            for side in sides:
                side.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main()
