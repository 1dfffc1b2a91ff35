"""What a cluster costs, on worker processes of this machine; see docs/dask.md.

    python tests/benchmarks/cluster.py [section ...] [--scale 0.1]

prints one Markdown table per section: `overhead` of an evaluation over the slowest
worker's own kernel, `speedup` of two workers, `memory` of the client, and `model`,
fitted on 1, 2 and 4 workers, checked on a held-out size and carried to 1000 workers.
"""

import argparse
import resource
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

sys.path.insert(0, str(Path(__file__).parent))

from skce._fitting.starts import new_starts
from skce.dask import DaskPairedMLPClassifier


@contextmanager
def workers(n):
    """A client of n worker processes with one thread each."""
    with (
        LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class _Caught(Exception):
    """Stops a fit as soon as its objective is built."""


class _Catcher(DaskPairedMLPClassifier):
    def _watch_maker(self, problem, plan):
        starts = new_starts(self, problem, None, False, np.random.RandomState(0))
        raise _Caught(problem.full_objective, starts[0].theta)


def objective(client, rows, features, units, classes, partitions, persist=False):
    """The objective of a random problem, and start parameters."""
    rng = da.random.default_rng(0)
    X = rng.standard_normal(
        (rows, features), chunks=(-(-rows // partitions), features), dtype=np.float32
    )
    y = (X[:, 0] * classes).astype(int) % classes
    if persist:  # dask chooses their workers
        X, y = client.persist([X, y])
    try:
        _Catcher(hidden_layer_sizes=units, random_state=0, client=client).fit(X, y)
    except _Caught as caught:
        return caught.args


def evaluations(target, theta, turns):
    """Seconds of evaluations, and of the slowest kernel in each."""
    seconds = []
    for turn in range(turns + 2):
        start = time.perf_counter()
        target.value_and_gradient(theta)
        whole = time.perf_counter() - start
        if turn >= 2:
            seconds.append((whole, max(target.rows.seconds.values())))
    return np.array(seconds)


def row(*cells):
    """Print a row of a table."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def overhead(scale):
    """An evaluation minus its slowest worker's kernel; two workers, 8 partitions."""
    row(
        "parameters", "partitions lie", "overhead, ms: median (least to 90 %)", "kernel"
    )
    row(*["---"] * 4)
    turns = 31 if scale == 1 else 5
    with workers(2) as client:
        for features, units, rows in [(50, 160, 40_000), (784, 1250, 1600)]:
            for persist in (False, True):
                target, theta = objective(
                    client, int(rows * scale), features, units, 10, 8, persist
                )
                seconds = 1e3 * evaluations(target, theta, turns)
                over = np.sort(seconds[:, 0] - seconds[:, 1])
                row(
                    target.network.n_parameters,
                    "as dask persisted them" if persist else "next to each other",
                    f"{np.median(over):.1f} ({over[0]:.1f} to "
                    f"{over[int(0.9 * len(over))]:.1f})",
                    f"{np.median(seconds[:, 1]):.0f} ms",
                )
                del target


def speedup(scale):
    """An evaluation of 2 000 000 x 50, float32, 50 units, 10 classes, 16 partitions."""
    row("one worker, s", "two workers, s", "ratio of turns: median (range)")
    row(*["---"] * 3)
    shape = int(2_000_000 * scale), 50, 50, 10, 16
    with workers(1) as one, workers(2) as two:
        sides = [objective(client, *shape) for client in (one, two)]
        seconds = np.array(
            [
                [np.median(evaluations(*side, 1)[:, 0]) for side in sides]
                for _ in range(9 if scale == 1 else 2)
            ]
        )
    ratios = seconds[:, 0] / seconds[:, 1]
    row(
        *(f"{s:.3f}" for s in np.median(seconds, axis=0)),
        f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})",
    )


def memory(scale):
    """Growth of the client's largest resident size by a fit of 5 iterations."""
    row("rows x 50", "data, MB", "client, MB more")
    row(*["---"] * 3)
    with workers(2) as client:
        for rows in (20_000, 20_000, 200_000, 2_000_000):
            rows = int(rows * scale)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            X = da.random.default_rng(0).standard_normal(
                (rows, 50), chunks=(-(-rows // 16), 50), dtype=np.float32
            )
            y = (X[:, 0] > 0).astype(int)
            clf = DaskPairedMLPClassifier(hidden_layer_sizes=50, max_iter=5)
            clf.set_params(client=client).fit(X, y)
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            row(rows, f"{X.nbytes / 2**20:.0f}", f"{(after - before) / 1024:.1f}")


def _terms(rows, parameters, partitions, n):
    """The regressors of the seconds of an evaluation by n workers.

    The cores of this machine share the kernels of more workers than it has.
    """
    per_worker = 1 / min(n, 2)
    return [
        rows * parameters * per_worker,  # multiplications
        parameters * n,  # the client's part of the broadcast and the reduction
        parameters * partitions * per_worker,  # sums of partitions, on the workers
        n,  # messages
        1.0,
    ]


def model(scale):
    """Seconds of an evaluation, by non-negative least squares on relative errors."""
    from scipy.optimize import nnls

    turns = 11 if scale == 1 else 3
    shapes = [  # rows, features, units, partitions
        (20_000, 50, 16, 8),
        (200_000, 50, 16, 8),
        (200_000, 50, 64, 8),
        (200_000, 50, 64, 64),
        (4_000, 784, 128, 8),
        (4_000, 784, 128, 64),
        (1_000, 784, 1250, 8),
    ]
    held_out = (1_000_000, 50, 100, 32)
    measured = []
    for n in (1, 2, 4):
        with workers(n) as client:
            for rows, features, units, partitions in [*shapes, held_out]:
                target, theta = objective(
                    client, int(rows * scale), features, units, 10, partitions
                )
                seconds = np.median(evaluations(target, theta, turns)[:, 0])
                size = target.n_rows, target.network.n_parameters, partitions, n
                measured.append((size, seconds, rows == held_out[0]))
                del target
    fitted = [(size, seconds) for size, seconds, out in measured if not out]
    A = np.array([np.array(_terms(*size)) / seconds for size, seconds in fitted])
    weights, _ = nnls(A, np.ones(len(A)))
    names = "row and parameter", "parameter and worker", "parameter and partition"
    row("a", "seconds")
    row("---", "---")
    for name, weight in zip((*names, "worker", "evaluation"), weights, strict=True):
        row(name, f"{weight:.3g}")
    print()
    row("rows", "parameters", "partitions", "workers", "measured, s", "model, s", "of")
    row(*["---"] * 7)
    for size, seconds, out in measured:
        told = float(weights @ _terms(*size))
        kind = "held out" if out else "fit"
        row(*size, f"{seconds:.4f}", f"{told:.4f}", kind)
    print()
    row("workers (a core each)", "rows", "parameters", "kernel, s", "rest, s", "share")
    row(*["---"] * 6)
    for n in (10, 100, 1000, 10_000):
        for rows, parameters in [(1e11, 1e4), (1e11, 1e6), (1e9, 1e4), (1e9, 1e6)]:
            kernel, sums, rest = carried(weights, rows, parameters, n)
            share = kernel / (kernel + sums + rest)
            row(
                n,
                f"{rows:.0e}",
                f"{parameters:.0e}",
                f"{kernel + sums:.3g}",
                f"{rest:.3g}",
                f"{share:.0%}",
            )


def carried(weights, rows, parameters, n, rows_of_partition=1e6):
    """Predicted seconds of the kernels, of adding partitions, and of all else."""
    partitions = max(rows / rows_of_partition, n)
    kernel = weights[0] * rows * parameters / n
    sums = weights[2] * parameters * partitions / n
    return kernel, sums, weights[1] * parameters * n + weights[3] * n + weights[4]


SECTIONS = {f.__name__: f for f in (overhead, speedup, memory, model)}


def main():
    """Run the requested sections, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    arguments = parser.parse_args()
    unknown = set(arguments.section) - set(SECTIONS)
    if unknown:
        parser.error(f"{sorted(unknown)} are none of {', '.join(SECTIONS)}")
    warnings.simplefilter("ignore")
    for name in arguments.section or SECTIONS:
        print(f"### {name}\n\n{SECTIONS[name].__doc__.splitlines()[0]}\n", flush=True)
        SECTIONS[name](arguments.scale)
        print(flush=True)


if __name__ == "__main__":
    main()
