"""What is measured; each section yields rows of its table."""

import subprocess
import sys
import warnings

import datasets
import numpy as np
import peers
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from threadpoolctl import threadpool_limits
from timing import exponent, in_turn, once, repeated

from skce import PairedMLPClassifier, pairing_grid
from skce._network.executors import with_workers

SKCE = "skce"


def _milliseconds(times, side):
    return f"{1e3 * times.median(side):.3g}"


def _ratio(times, above, below):
    median, least, most = times.ratio(above, below)
    return f"{median:.2f} ({least:.2f} to {most:.2f})"


def _mlp(h, dtype, **parameters):
    defaults = {"activation": "logistic", "solver": "lbfgs", "random_state": 0}
    return MLPClassifier((h,), **{**defaults, **parameters})


def _ours(h, **parameters):
    """PairedMLPClassifier with the objective, and the end, of `_mlp`."""
    same = {"hidden_activation": "logistic", "alpha": 1e-4, "standardize": False}
    # below 1e-4 a plateau is not the end
    defaults = {**same, "tol": 0.99e-4, "random_state": 0}
    return PairedMLPClassifier(hidden_layer_sizes=h, **{**defaults, **parameters})


def _mlp_evaluation(X, y, h, alpha):
    """MLPClassifier's objective and gradient, by its private method; or None."""
    fitted = _mlp(h, X.dtype, alpha=alpha, max_iter=1).fit(X[:2000], y[:2000])
    arrays = [a.ravel() for a in fitted.coefs_ + fitted.intercepts_]
    packed = np.concatenate(arrays).astype(X.dtype)
    T = LabelBinarizer().fit(np.arange(y.max() + 1)).transform(y).astype(bool)
    sizes = [(len(X), n) for n in (h, T.shape[1])]
    activations = [X, *(np.empty(s, X.dtype) for s in sizes)]
    deltas = [np.empty_like(a) for a in activations[1:]]
    gradients = [np.empty_like(a, X.dtype) for a in fitted.coefs_]
    biases = [np.empty_like(a, X.dtype) for a in fitted.intercepts_]
    arguments = (packed, X, T, None, activations, deltas, gradients, biases)
    try:
        fitted._loss_grad_lbfgs(*arguments)
    except (AttributeError, TypeError):  # another version of scikit-learn
        return None
    return lambda: fitted._loss_grad_lbfgs(*arguments)


def evaluation(scale):
    """One objective and gradient, in ms; bare: its five products, 2 BLAS threads.

    Rows x features, units, classes: paper 400 x 2, 4, 4; digits 1797 x 64, 100, 10; mid
    20 000 x 50, 64, 5; tall 1 000 000 x 20, 32, 3; wide 60 000 x 784, 128, 10.

    | shape | dtype | bare | skce | skce/bare | JAX/skce | torch/skce | MLP/skce |
    |---|---|---|---|---|---|---|---|
    """
    for name in datasets.SHAPES:
        for dtype in (np.float64, np.float32):
            if name == "paper" and dtype is np.float32:
                continue
            X, y, h, q = datasets.noise(name, dtype, scale if name != "paper" else 1)
            decay = 0.1 / len(y)
            size = len(y) * peers.network(X.shape[1], h, q).n_parameters
            theta = 0.1 * np.random.default_rng(2).standard_normal(
                peers.network(X.shape[1], h, q).n_parameters
            )

            def ours(size=size, X=X, y=y, h=h, q=q, decay=decay, theta=theta):
                def timed(run):
                    evaluate = peers.ours(X, y, h, q, decay, run)
                    return repeated(lambda: evaluate(theta))

                return with_workers(size, None, timed)

            sides = {"bare": peers.bare_products(X, h, q)}
            if peers.HAS_JAX:
                sides["JAX"] = peers.jax_evaluation(X, y, h, q, decay)
            if peers.HAS_TORCH:
                sides["torch"] = peers.torch_parts(X, y, h, q, decay)[1]
            mlp = _mlp_evaluation(X, y, h, 0.1)
            if mlp is not None:
                sides["MLP"] = mlp
            functions = {s: lambda f=f: repeated(f) for s, f in sides.items()}
            turns = 5 if len(y) > 50_000 else 15
            times = in_turn({**functions, SKCE: ours}, turns, lambda f: f())
            ratios = [
                _ratio(times, side, SKCE) if side in times.sides else "-"
                for side in ("JAX", "torch", "MLP")
            ]
            yield [
                name,
                np.dtype(dtype).name,
                _milliseconds(times, "bare"),
                _milliseconds(times, SKCE),
                _ratio(times, SKCE, "bare"),
                *ratios,
            ]


def _same_objective(classifier, X, y, target):
    """`classifier` with the largest tol that ends within 1 % of the target."""
    for tol in (1e-2, 5e-3, 2e-3, 1e-3, 7e-4, 5e-4, 3e-4, 2e-4, 1.5e-4, 1e-4, 1e-5):
        if classifier.set_params(tol=tol).fit(X, y).loss_ <= 1.01 * target:
            return classifier
    raise RuntimeError(f"{target} was not reached")


def fits(scale):
    """Whole fits to within 1 % of MLPClassifier's objective (R: to its own), in ms.

    On digits skce's tol is the largest of a list that ends within 1 % of
    MLPClassifier's objective, and torch stops as soon as it is there.

    | fit | skce | peer | skce, ms | peer, ms | peer / skce | objectives |
    |---|---|---|---|---|---|---|
    """
    X, y = datasets.digits()
    h, alpha = 50, 1.0
    turns = 7 if scale == 1 else 2
    for threads, dtype in ((2, "float64"), (1, "float64"), (2, "float32")):
        X = X.astype(dtype)
        with threadpool_limits(threads, user_api="blas"):
            mlp = _mlp(h, dtype, alpha=alpha, max_iter=5000)
            target = mlp.fit(X, y).loss_
            classifier = _same_objective(_ours(h, alpha=alpha), X, y, target)
            sides = {
                SKCE: lambda c=classifier, X=X: c.fit(X, y),
                "MLPClassifier(lbfgs)": lambda c=mlp, X=X: c.fit(X, y),
            }
            if peers.HAS_TORCH and threads == 2:
                import torch

                torch.set_num_threads(2)
                sides["torch LBFGS"] = peers.torch_lbfgs(
                    X, y, h, 10, alpha / len(y), 1.01 * target
                )
            times = in_turn(sides, turns)
        for peer in times.sides[1:]:
            reached = target * (1.01 if "torch" in peer else 1)
            yield [
                f"digits {X.shape[0]} x {X.shape[1]}, h = {h}, alpha = 1, {dtype}, "
                f"{threads} thread{'s' * (threads > 1)}",
                f"tol={classifier.tol:g}",
                peer,
                _milliseconds(times, SKCE),
                _milliseconds(times, peer),
                _ratio(times, peer, SKCE),
                f"{classifier.loss_:.4f}, {reached:.4f}",
            ]
    yield from _paper_fits(turns)


def _paper_fits(turns):
    X, y = datasets.paper()
    parameters = {"alpha": 0.1, "max_iter": 2000}
    ours = _ours(4, **parameters)
    mlp = _mlp(4, float, tol=1e-4, **parameters)

    def of_seeds(classifier):
        return lambda: [classifier.set_params(random_state=s).fit(X, y) for s in SEEDS]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = in_turn(
            {SKCE: of_seeds(ours), "MLPClassifier(lbfgs)": of_seeds(mlp)}, turns
        )
        losses = [
            np.median([c.set_params(random_state=s).fit(X, y).loss_ for s in SEEDS])
            for c in (ours, mlp)
        ]
    n = len(SEEDS)
    name = "the paper's data, 400 x 2, h = 4, alpha = 0.1, to a largest slope of 1e-4"
    yield [
        f"{name}, {n} starts",
        "tol=1e-4",
        "MLPClassifier(lbfgs)",
        f"{1e3 * times.median(SKCE) / n:.3g}",
        f"{1e3 * times.median('MLPClassifier(lbfgs)') / n:.3g}",
        _ratio(times, "MLPClassifier(lbfgs)", SKCE),
        "{:.4f}, {:.4f}".format(*losses),
    ]
    of_r = peers.r_nnet(X, y, 4, 0.1, turns)
    if of_r is not None:
        seconds, values = of_r
        ratios = seconds / (times.median(SKCE) / n)
        yield [
            f"{name}; R: reltol = 1e-8, biases penalised too, after skce's turns",
            "tol=1e-4",
            "R nnet (BFGS)",
            f"{1e3 * times.median(SKCE) / n:.3g}",
            f"{1e3 * np.median(seconds):.3g}",
            f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})",
            f"{losses[0]:.4f}, {np.median(values):.4f}",
        ]


SEEDS = range(20)


def iterations(scale):
    """30 iterations of L-BFGS on all rows, through fit(), float32, in s.

    | shape | skce | MLPClassifier | MLPClassifier / skce |
    |---|---|---|---|
    """
    for name in ("tall", "wide"):
        X, y, h, _ = datasets.noise(name, np.float32, scale)
        ours = _ours(h, max_iter=30, growing_sample=False)
        mlp = _mlp(h, np.float32, max_iter=30)
        # random labels leave both at a stationary start, so these depend on X
        y = (X[:, 0] > 0) + (X[:, 1] * X[:, 2] > 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            times = in_turn(
                {
                    SKCE: lambda c=ours, X=X, y=y: c.fit(X, y),
                    "MLP": lambda c=mlp, X=X, y=y: c.fit(X, y),
                },
                3,
            )
        yield [
            f"{name} {X.shape[0]} x {X.shape[1]}, h = {h}; {ours.n_iter_} and "
            f"{mlp.n_iter_} iterations",
            f"{times.median(SKCE):.3g}",
            f"{times.median('MLP'):.3g}",
            _ratio(times, "MLP", SKCE),
        ]


def predictions(scale):
    """predict_proba of 1 000 000 x 20, h = 32, 3 classes, and of one row, in ms.

    | X | skce | MLPClassifier | MLPClassifier / skce |
    |---|---|---|---|
    """
    for dtype in (np.float32, np.float64):
        X, y, h, _ = datasets.noise("tall", dtype, scale)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = _ours(h, max_iter=2)
            sides = {
                SKCE: ours.fit(X[:5000], y[:5000]),
                "MLP": _mlp(h, dtype, max_iter=2).fit(X[:5000], y[:5000]),
            }
        functions = {s: lambda c=c, X=X: c.predict_proba(X) for s, c in sides.items()}
        times = in_turn(functions, 9)
        yield [
            f"{len(X)} x 20, {np.dtype(dtype).name}",
            _milliseconds(times, SKCE),
            _milliseconds(times, "MLP"),
            _ratio(times, "MLP", SKCE),
        ]
    yield from _predictions_of_one_row()


def _predictions_of_one_row():
    X, y, _, _ = datasets.noise("wide", np.float64, 0.01)
    for hidden in ((100,), (1000, 1000)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = PairedMLPClassifier(hidden_layer_sizes=hidden, max_iter=2)
            fitted = {
                SKCE: ours.fit(X, y),
                "MLP": MLPClassifier(hidden, solver="lbfgs", max_iter=2).fit(X, y),
            }
        functions = {
            s: lambda c=c: repeated(lambda: c.predict_proba(X[:1]))
            for s, c in fitted.items()
        }
        times = in_turn(functions, 9, lambda f: f())
        yield [
            f"1 x 784, h = {hidden}, float64",
            _milliseconds(times, SKCE),
            _milliseconds(times, "MLP"),
            _ratio(times, "MLP", SKCE),
        ]


def grid(scale):
    """GridSearchCV(n_jobs=2, cv=5) on digits, h = 50, alpha = 1: 25 fits each, in s.

    | skce: five pairs | MLPClassifier(lbfgs): five starts | MLPClassifier / skce |
    |---|---|---|
    """
    X, y = datasets.digits()
    pairs = [
        {name: values for name, values in pair.items() if name != "status"}
        for pair in pairing_grid()
    ]
    wanted = [("softmax", None), ("logistic", None), ("sparsemax", "natural")]
    pairs = [
        pair
        for pair in pairs
        if any(
            pair["activation"] == [a] and (p is None or pair["penalty"] == [p])
            for a, p in wanted
        )
    ][:5]
    ours = _ours(50, alpha=1.0)
    mlp = _mlp(50, float, alpha=1.0, max_iter=5000)
    cv = 5 if scale == 1 else 2
    searches = {
        SKCE: GridSearchCV(ours, pairs, cv=cv, n_jobs=2, refit=False),
        "MLP": GridSearchCV(
            mlp, {"random_state": range(len(pairs))}, cv=cv, n_jobs=2, refit=False
        ),
    }
    for search in searches.values():  # starts the workers of joblib
        search.fit(X[:300], y[:300])
    times = in_turn({s: lambda g=g: g.fit(X, y) for s, g in searches.items()}, 3)
    yield [
        f"{times.median(SKCE):.3g}",
        f"{times.median('MLP'):.3g}",
        _ratio(times, "MLP", SKCE),
    ]


def large(scale):
    """Seconds to the best test log loss of adam (MLPClassifier's defaults) + 1 %.

    adam: by epochs of partial_fit, its best of 30. skce: the shortest fit of a list of
    max_iter that gets there, with a growing sample and with all rows from the start.

    | problem | target log loss | adam | skce | all rows | adam/skce | all rows/skce |
    |---|---|---|---|---|---|---|
    """
    sets = {
        "teacher 200 000 x 50, 10 classes, h = 64": (
            lambda: datasets.teacher(int(200_000 * scale), 50, 10, 30),
            64,
        ),
        "teacher 1 000 000 x 20, 3 classes, h = 32": (
            lambda: datasets.teacher(int(1_000_000 * scale), 20, 3, 20),
            32,
        ),
        "relu teacher 200 000 x 50, 10 classes, h = 64": (
            lambda: datasets.teacher(int(200_000 * scale), 50, 10, 64, relu=True),
            64,
        ),
        "mixed teacher 60 000 x 784, 10 classes, h = 128": (
            lambda: datasets.latent(int(60_000 * scale)),
            128,
        ),
        "pictures 60 000 x 784, 10 classes, h = 128": (
            lambda: datasets.pictures(int(60_000 * scale)),
            128,
        ),
    }
    for name, (make, h) in sets.items():
        X, y, X_test, y_test = make()
        curve = _adam_curve(X, y, X_test, y_test, h)
        target = 1.01 * min(loss for _, loss in curve)
        adam = next(seconds for seconds, loss in curve if loss <= target)
        limit = max(3 * adam, 10)
        ours, all_rows = (
            _shortest_fit(X, y, X_test, y_test, h, target, limit, grow)
            for grow in ("auto", False)
        )
        yield [
            name,
            f"{target:.4f}",
            f"{adam:.2f}",
            *(f"{t:.2f}" if t else f"not in {limit:.0f} s" for t in (ours, all_rows)),
            f"{adam / ours:.2f}" if ours else "-",
            f"{all_rows / ours:.2f}" if ours and all_rows else "-",
        ]


def _adam_curve(X, y, X_test, y_test, h, epochs=30):
    """(seconds, test log loss) of each epoch, until six bring no improvement."""
    adam = MLPClassifier((h,), random_state=0)
    curve, seconds = [], 0.0
    for _ in range(epochs):
        seconds += once(lambda: adam.partial_fit(X, y, classes=np.unique(y)))
        curve.append((seconds, _test_loss(adam, X_test, y_test)))
        losses = [loss for _, loss in curve]
        if len(losses) - 1 - int(np.argmin(losses)) >= 6:
            break
    return curve


def _test_loss(classifier, X, y):
    probabilities = classifier.predict_proba(X).astype(float)
    return log_loss(y, probabilities / probabilities.sum(axis=1, keepdims=True))


def _shortest_fit(X, y, X_test, y_test, h, target, limit, grow):
    """Seconds of the first whole fit that reaches the target, or None."""
    for max_iter in (
        3,
        4,
        5,
        6,
        8,
        11,
        15,
        20,
        27,
        36,
        48,
        64,
        85,
        113,
        150,
        200,
        270,
        360,
    ):
        classifier = PairedMLPClassifier(
            hidden_layer_sizes=h,
            max_iter=max_iter,
            random_state=0,
            growing_sample=grow,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = once(lambda c=classifier: c.fit(X, y))
        if _test_loss(classifier, X_test, y_test) <= target:
            return seconds
        if seconds > limit:
            return None
    return None


def growth(scale):
    """How the time of one evaluation grows: the exponent b of time = a size^b.

    | of | sizes | exponent |
    |---|---|---|
    """
    base = {"rows": 50_000, "features": 50, "units": 64, "classes": 10}
    sizes = {
        "rows": [10_000, 30_000, 100_000, 300_000, 1_000_000],
        "features": [10, 30, 100, 300],
        "units": [16, 32, 64, 128, 256],
        "classes": [2, 5, 10, 30, 100],
    }
    for of, values in sizes.items():
        if of == "rows":
            values = [int(v * scale) for v in values]
        functions = {}
        for value in values:
            shape = {**base, of: value}
            functions[str(value)] = lambda shape=shape: _evaluation_seconds(**shape)
        times = in_turn(functions, 5, lambda f: f())
        seconds = [times.median(str(v)) for v in values]
        yield [of, ", ".join(map(str, values)), f"{exponent(values, seconds):.3f}"]


def _evaluation_seconds(rows, features, units, classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, features), dtype=np.float32)
    y = rng.integers(0, classes, rows)
    n_parameters = peers.network(features, units, classes).n_parameters
    theta = 0.1 * rng.standard_normal(n_parameters)

    def timed(run):
        evaluate = peers.ours(X, y, units, classes, 1e-6, run)
        return repeated(lambda: evaluate(theta), 0.2)

    return with_workers(rows * n_parameters, None, timed)


MEMORY = """
import resource, sys, warnings
import numpy as np
from skce import PairedMLPClassifier
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = np.empty((int(4_000_000 * SCALE), 50), dtype=np.float32)
for part in np.array_split(X, 40):
    part[:] = rng.standard_normal(part.shape, dtype=np.float32)
y = (X[:, 0] > 0) + (X[:, 1] > 0).astype(int)
PairedMLPClassifier(hidden_layer_sizes=50, max_iter=1).fit(X[:1000], y[:1000])
# now, not at most so far: /proc/self/statm counts pages
with open("/proc/self/statm") as file:
    before = int(file.read().split()[1]) * resource.getpagesize() / 1024
fitted = PairedMLPClassifier(hidden_layer_sizes=50, max_iter=4, random_state=0)
fitted.fit(X, y)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) / 1024, X.nbytes / 2**20, len(fitted.stages_))
"""


def memory(scale):
    """The most memory that a fit takes beside its data, 4 000 000 x 50 float32.

    | data, MB | fit, MB over the data | stages |
    |---|---|---|
    """
    more, data, stages = _python(MEMORY.replace("SCALE", str(scale))).split()
    yield [f"{float(data):.0f}", f"{float(more):.0f}", stages]


def imports(scale):
    """Importing, each in a process of its own, in ms.

    | skce | sklearn.neural_network | skce / sklearn.neural_network |
    |---|---|---|
    """
    modules = {SKCE: "skce", "sklearn": "sklearn.neural_network"}
    functions = {s: lambda m=m: _python(f"import {m}") for s, m in modules.items()}
    times = in_turn(functions, 15 if scale == 1 else 2)
    yield [
        _milliseconds(times, SKCE),
        _milliseconds(times, "sklearn"),
        _ratio(times, SKCE, "sklearn"),
    ]


def _python(code):
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(run.stderr)
    return run.stdout


SECTIONS = {
    section.__name__: section
    for section in (
        evaluation,
        fits,
        iterations,
        predictions,
        grid,
        large,
        growth,
        memory,
        imports,
    )
}
