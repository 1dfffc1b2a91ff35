"""Trials of the pairs on the paper's data, under one protocol or a map of them."""

import warnings
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import confusion_matrix
from sklearn.utils.parallel import Parallel, delayed

from skce.activations import get_activation
from skce.classifier import PairedMLPClassifier
from skce.displays import LINES
from skce.optional import optional
from skce.simulation import GAUSSIAN_CLASSES, quantity_4

__all__ = [
    "ESTIMATORS",
    "Protocol",
    "by_pair",
    "figure_map",
    "map_protocols",
    "map_table",
    "rankings",
    "run_trials",
]

# The three pairs of the paper's section 4, and one that it leaves out
ESTIMATORS = (
    ("logistic", "least_squares"),
    ("softmax", "least_squares"),
    ("softmax", "cross_entropy"),
    ("logistic", "binary_cross_entropy"),
)


@dataclass(frozen=True)
class Protocol:
    """What the paper leaves open, with the defaults that `skce.paper` argues for.

    Attributes
    ----------
    hidden : int
        Logistic hidden units.
    max_iter : int
        Iterations of L-BFGS, after which training stops.
    alpha : float
        Of the L2 term; the paper has none.
    """

    hidden: int = 4
    max_iter: int = 8
    alpha: float = 0.0


DEFAULT = Protocol()


def run_trials(
    n_trials=100,
    protocols=(DEFAULT,),
    *,
    estimators=ESTIMATORS,
    seed=0,
    n_jobs=None,
    progress=False,
):
    """The paper's experiment: `n_trials` draws of the data, all pairs on each.

    A trial draws 100 cases a class to train on and 100 to test on. All pairs and
    protocols see the same data, and all networks of a size begin with the same
    weights, uniform on (-1, 1). A trial depends on `seed` and its own number alone.

    Parameters
    ----------
    n_trials : int, default=100
    protocols : sequence of Protocol
    estimators : sequence of (activation, penalty)
    seed : int, default=0
    n_jobs : int or None, default=None
        Processes, as in joblib.
    progress : bool, default=False
        Whether to show a progress bar (needs tqdm).

    Returns
    -------
    trials : pandas.DataFrame
        A row a trial, protocol and pair: trial, hidden, max_iter, alpha, pair;
        quantity_4 of the outputs as they are, and quantity_4_normalised and
        quantity_4_projected of the outputs divided by their sum and projected on the
        simplex; mean_diagonal, the mean of the four rates of right decisions; and
        rate_11 ... rate_44, the part of each true class (first digit) that is
        ascribed to each class (second digit) by the largest output.
    """
    pandas = optional("pandas", "run_trials")
    rows = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_trial)(seed, trial, protocols, estimators) for trial in range(n_trials)
    )
    if progress:
        tqdm = optional("tqdm", "progress=True").tqdm
        rows = tqdm(rows, total=n_trials, desc="trials", unit="trial")
    return pandas.DataFrame([row for trial in rows for row in trial])


def _trial(seed, trial, protocols, estimators):
    """The rows of one trial."""
    rng = np.random.default_rng([seed, trial])
    X, y = GAUSSIAN_CLASSES.sample(100, rng)
    X_test, y_test = GAUSSIAN_CLASSES.sample(100, rng)
    start = int(rng.integers(2**31))
    exact = GAUSSIAN_CLASSES.posterior(X_test)
    return [
        {"trial": trial, **asdict(protocol), "pair": " x ".join(names)}
        | _measure(_fit(names, protocol, start, X, y), X_test, y_test, exact)
        for protocol in protocols
        for names in estimators
    ]


def _fit(names, protocol, start, X, y):
    classifier = PairedMLPClassifier(
        *names,
        hidden_layer_sizes=protocol.hidden,
        hidden_activation="logistic",
        alpha=protocol.alpha,
        init="uniform",
        max_iter=protocol.max_iter,
        tol=1e-6,
        random_state=start,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # max_iter is meant to end the training
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(X, y)


def _measure(classifier, X, y, exact):
    outputs = classifier.predict_outputs(X)
    projected = get_activation("sparsemax").value(outputs.T).T
    rates = confusion_matrix(y, outputs.argmax(axis=1), normalize="true")
    cells = np.ndindex(rates.shape)
    return {
        "quantity_4": quantity_4(outputs, exact),
        "quantity_4_normalised": quantity_4(classifier.predict_proba(X), exact),
        "quantity_4_projected": quantity_4(projected, exact),
        "mean_diagonal": rates.trace() / len(rates),
        **{f"rate_{i + 1}{j + 1}": rates[i, j] for i, j in cells},
    }


def by_pair(trials, column):
    """`column` of one protocol, a row a trial and a column a pair."""
    wide = trials.pivot(index="trial", columns="pair", values=column)
    return wide[list(dict.fromkeys(trials["pair"]))]


def map_protocols(
    hidden=(2, 4, 8, 16),
    max_iter=(4, 8, 16, 32, 64, 128, 256, 512, 1024),
    alpha=(0.0, 0.1, 1.0),
):
    """The settings of the map: hidden units x training length x alpha."""
    return [Protocol(h, k, a) for a in alpha for h in hidden for k in max_iter]


def map_table(trials):
    """Mean of (4) and mean diagonal of each setting and pair, with standard errors."""
    keys = ["alpha", "hidden", "max_iter", "pair"]
    table = trials.groupby(keys, sort=False)[["quantity_4", "mean_diagonal"]]
    table = table.agg(["mean", "sem"])
    table.columns = [
        "quantity_4",
        "quantity_4_error",
        "mean_diagonal",
        "diagonal_error",
    ]
    return table.reset_index()


# One letter a pair in `rankings`
LETTERS = {" x ".join(names): s for names, s in zip(ESTIMATORS, "LSCB", strict=True)}


def rankings(trials):
    """The order of the pairs at each setting of the map, worst to best by mean (4).

    Returns
    -------
    table : pandas.DataFrame
        Indexed by alpha and hidden units, a column a training length. L stands for
        logistic x least_squares, S for softmax x least_squares, C for softmax x
        cross_entropy, B for logistic x binary_cross_entropy; ">" stands between
        neighbours that differ by more than two standard errors of their paired
        difference, "~" between others. The paper's order is L > S > C.
    """
    frame = optional("pandas", "rankings").DataFrame
    rows = []
    for (alpha, hidden, max_iter), group in trials.groupby(
        ["alpha", "hidden", "max_iter"]
    ):
        quantity = by_pair(group, "quantity_4")
        order = quantity.mean().sort_values(ascending=False).index
        text = LETTERS[order[0]]
        for worse, better in pairwise(order):
            difference = quantity[worse] - quantity[better]
            text += ">" if difference.mean() > 2 * difference.sem() else "~"
            text += LETTERS[better]
        rows.append([alpha, hidden, max_iter, text])
    table = frame(rows, columns=["alpha", "hidden", "max_iter", "order"])
    return table.pivot(index=["alpha", "hidden"], columns="max_iter", values="order")


def figure_map(table, column="quantity_4"):
    """The map drawn: a panel for each alpha and number of hidden units.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `map_table`.
    column : {"quantity_4", "mean_diagonal"}, default="quantity_4"

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    pyplot = optional("matplotlib.pyplot", "figure_map")
    ticker = optional("matplotlib.ticker", "figure_map")
    alphas, sizes = table["alpha"].unique(), table["hidden"].unique()
    figure, axes = pyplot.subplots(
        len(alphas),
        len(sizes),
        figsize=(2.6 * len(sizes) + 0.6, 2.3 * len(alphas) + 0.9),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (alpha, hidden) in zip(
        axes.flat, ((a, h) for a in alphas for h in sizes), strict=True
    ):
        panel = table[(table["alpha"] == alpha) & (table["hidden"] == hidden)]
        for (style, marker), (name, line) in zip(
            LINES, panel.groupby("pair", sort=False), strict=False
        ):
            ax.plot(line["max_iter"], line[column], ls=style, marker=marker, label=name)
        ax.set(title=f"h = {hidden}, alpha = {alpha:g}", xscale="log")
        if column == "quantity_4":
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(ticker.FixedLocator((1, 1.5, 2, 3, 4, 6, 8)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(ticker.NullLocator())
        ax.grid(alpha=0.4)
    names = {
        "quantity_4": "mean of (4), without the 1/N",
        "mean_diagonal": "mean diagonal",
    }
    figure.supxlabel("iterations of L-BFGS")
    figure.supylabel(names[column])
    figure.legend(
        *axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2
    )
    return figure
