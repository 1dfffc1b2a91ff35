"""Where the time of a fit goes: percent in products, element-wise, SciPy and so on.

    python tests/benchmarks/breakdown.py [--scale 0.1]

prints one Markdown table. Each column is time of the thread that calls fit, on the wall
clock, without what a later column's part within it takes:

- products: matrix products;
- element-wise: the rest of the kernels, that is activations, losses and sums;
- SciPy: its L-BFGS-B, and its wrappers of the objective and of the callback;
- per iteration: our Python about the kernels and in SciPy's callback;
- threads: handing out shares of the rows and waiting for the last one;
- set-up: the rest: validation, encoding, samples of the rows, fitted attributes.

The timers add 0.5 microseconds to each product, which is up to a tenth of a small fit.
"""

import argparse
import time
import warnings
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from threading import get_ident
from unittest.mock import patch

import datasets
import numpy as np
from scipy import optimize
from sklearn.datasets import load_digits, load_iris

from skce import PairedMLPClassifier
from skce._fitting import solvers
from skce._network import executors, kernels

PARTS = (
    "products",
    "element-wise",
    "SciPy",
    "per iteration",
    "threads",
    "set-up",
)

# NumPy's functions of the kernels that are matrix products
PRODUCTS = ("matmul", "dot")


class Clock:
    """Seconds of each part, of one thread; a part pauses while another is within it."""

    def __init__(self):
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._thread = get_ident()
        self._parts = []
        self._since = 0.0

    def _switch(self):
        now = time.perf_counter()
        if self._parts:
            self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    @contextmanager
    def within(self, part):
        self._switch()
        self._parts.append(part)
        try:
            yield
        finally:
            self._switch()
            self._parts.pop()

    def timed(self, function, part):
        """Return a function whose time in this thread counts for a part."""

        @wraps(function)
        def timed(*arguments, **options):
            if get_ident() != self._thread:
                return function(*arguments, **options)
            # without the generator of `within`, as products are short
            self._switch()
            self._parts.append(part)
            try:
                return function(*arguments, **options)
            finally:
                self._switch()
                self._parts.pop()

        return timed

    def minimize(self, value, theta, *, jac, callback, **options):
        """`scipy.optimize.minimize`, whose calls of ours are not SciPy's time."""
        ours = self.timed(callback, "per iteration")

        def after_iteration(intermediate_result):
            ours(intermediate_result)

        return self.timed(optimize.minimize, "SciPy")(
            self.timed(value, "per iteration"),
            theta,
            jac=self.timed(jac, "per iteration"),
            callback=after_iteration,
            **options,
        )


class Replaced:
    """A module with some of its functions replaced."""

    def __init__(self, module, **functions):
        self._module = module
        vars(self).update(functions)

    def __getattr__(self, name):
        return getattr(self._module, name)


def seconds_of_parts(fit):
    """Return the seconds of each part of a call of `fit`."""
    clock = Clock()
    products = {name: clock.timed(getattr(np, name), "products") for name in PRODUCTS}
    with ExitStack() as stack:

        def replace(owner, name, new):
            stack.enter_context(patch.object(owner, name, new))

        replace(kernels, "np", Replaced(np, **products))
        replace(kernels, "matmul", clock.timed(kernels.matmul, "products"))
        for name in ("loss", "loss_and_gradient"):
            kernel = getattr(kernels.Network, name)
            replace(kernels.Network, name, clock.timed(kernel, "element-wise"))
        replace(executors, "share_out", clock.timed(executors.share_out, "threads"))
        replace(solvers, "optimize", Replaced(optimize, minimize=clock.minimize))
        with clock.within("set-up"):
            fit()
    return clock.seconds


def cases(scale):
    """Yield the name of each case, its rows, and parameters of the classifier."""
    yield "iris", *load_iris(return_X_y=True), {}
    yield "digits", *load_digits(return_X_y=True), {}
    yield "income", *datasets.income(int(8993 * scale)), {}
    X, y, *_ = datasets.teacher(int(1_000_000 * scale), 20, 3, 32, test=1)
    yield "tall, float32", X, y, {"hidden_layer_sizes": 32, "max_iter": 60}
    n = int(5000 * scale)
    yield "text, sparse", *datasets.text(n, 4 * n), {"hidden_layer_sizes": 50}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="share of the generated rows and of the turns",
    )
    scale = parser.parse_args().scale
    warnings.simplefilter("ignore")  # of max_iter
    head = ["fit", "iterations", "s", *(f"{part}, %" for part in PARTS)]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for name, X, y, parameters in cases(scale):
        classifier = PairedMLPClassifier(random_state=0, **parameters)
        n_rows = X.shape[0]
        n_turns = max(1, min(20, int(20_000 * scale) // n_rows))
        classifier.fit(X, y)
        fit = partial(classifier.fit, X, y)
        turns = [seconds_of_parts(fit) for _ in range(n_turns)]
        median = {part: np.median([turn[part] for turn in turns]) for part in PARTS}
        total = sum(median.values())
        sizes = classifier._network.layer_sizes
        row = [
            f"{name}: {n_rows} rows, {' - '.join(map(str, sizes))}",
            str(sum(stage.n_iter for stage in classifier.stages_)),
            f"{total:.3g}",
            *(f"{100 * seconds / total:.0f}" for seconds in median.values()),
        ]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
