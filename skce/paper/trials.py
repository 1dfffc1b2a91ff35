"""Run trials of the pairs on the paper's data, under one or more protocols."""

import warnings
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed

from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier
from skce.losses.activations import get_activation
from skce.losses.pairings import pair
from skce.paper.simulation import GAUSSIAN_CLASSES, quantity_4

__all__ = [
    "PAIRINGS",
    "Protocol",
    "by_pair",
    "run_trials",
]

# The three pairs of the paper's section 4, and one that it leaves out
PAIRINGS = (
    ("logistic", "least_squares"),
    ("softmax", "least_squares"),
    ("softmax", "cross_entropy"),
    ("logistic", "binary_cross_entropy"),
)


@dataclass(frozen=True)
class Protocol:
    """Settings that the paper does not give, with defaults that reproduce its results.

    Attributes
    ----------
    hidden : int
        Number of logistic hidden units.
    max_iter : int
        Number of iterations of L-BFGS, after which training stops.
    alpha : float
        Strength of the L2 term; the paper has none.

    Examples
    --------
    >>> from skce.paper.trials import Protocol
    >>> Protocol(hidden=8)
    Protocol(hidden=8, max_iter=8, alpha=0.0)
    """

    hidden: int = 4
    max_iter: int = 8
    alpha: float = 0.0


DEFAULT = Protocol()


def run_trials(
    n_trials=100,
    protocols=(DEFAULT,),
    *,
    pairings=PAIRINGS,
    seed=0,
    n_jobs=None,
    progress=False,
):
    """Run the paper's experiment: fit all pairs to `n_trials` draws of the data.

    Each trial draws 100 cases per class for training and 100 for testing. All pairs and
    protocols get the same data, and all networks of one size start from the same
    weights, uniform on (-1, 1). A trial depends only on `seed` and its own number.

    Parameters
    ----------
    n_trials : int, default=100
    protocols : sequence of Protocol
    pairings : sequence of (activation, penalty)
    seed : int, default=0
    n_jobs : int or None, default=None
        Number of processes, as in joblib.
    progress : bool, default=False
        Whether to show a progress bar (needs tqdm).

    Returns
    -------
    trials : pandas.DataFrame
        One row per trial, protocol and pair: seed, trial, hidden, max_iter, alpha,
        pairing (its name); quantity_4 of the outputs as they are, quantity_4_normalised
        of the outputs divided by their sum, and quantity_4_projected of the outputs
        projected on the simplex; rate_11 ... rate_44, the proportion of each true class
        (first digit) that is predicted as each class (second digit) by the largest
        output; and mean_diagonal, the mean of the four rates of correct predictions.

    Examples
    --------
    >>> from skce.paper.trials import run_trials
    >>> trials = run_trials(2)
    >>> trials[["trial", "pairing", "max_iter"]].head(2)
       trial                   pairing  max_iter
    0      0  logistic x least_squares         8
    1      0   softmax x least_squares         8
    """
    pandas = optional("pandas", "run_trials")
    tqdm = optional("tqdm", "A progress bar").tqdm if progress else None
    rows = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_trial)(seed, trial, protocols, pairings) for trial in range(n_trials)
    )
    if progress:
        rows = tqdm(rows, total=n_trials, desc="trials", unit="trial")
    return pandas.DataFrame([row for trial in rows for row in trial])


def _trial(seed, trial, protocols, pairings):
    """Run one trial and return its rows of the table."""
    rng = np.random.default_rng([seed, trial])
    X, y = GAUSSIAN_CLASSES.sample(100, rng)
    X_test, y_test = GAUSSIAN_CLASSES.sample(100, rng)
    start = int(rng.integers(2**31))
    exact = GAUSSIAN_CLASSES.posterior(X_test)
    return [
        {"seed": seed, "trial": trial, **asdict(protocol), "pairing": str(pair(*names))}
        | _measure(_fit(names, protocol, start, X, y), X_test, y_test, exact)
        for protocol in protocols
        for names in pairings
    ]


def _fit(names, protocol, start, X, y):
    """Fit one pair from the weights that the seed `start` draws."""
    classifier = PairedMLPClassifier(
        *names,
        hidden_layer_sizes=protocol.hidden,
        hidden_activation="logistic",
        alpha=protocol.alpha,
        standardize=False,
        init="uniform",
        max_iter=protocol.max_iter,
        tol=1e-6,
        random_state=start,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # The protocol stops training at max_iter on purpose
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(X, y)


def _measure(classifier, X, y, exact):
    """Compare the outputs on test cases with the exact posterior and the labels."""
    outputs = classifier.predict_outputs(X)
    projected = get_activation("sparsemax").value(outputs.T).T
    # scikit-learn's confusion_matrix would take as long as two fits of the trial
    q = outputs.shape[1]
    counts = np.bincount(q * y + outputs.argmax(axis=1), minlength=q * q).reshape(q, q)
    rates = counts / counts.sum(axis=1, keepdims=True)
    cells = np.ndindex(rates.shape)
    return {
        "quantity_4": quantity_4(outputs, exact),
        "quantity_4_normalised": quantity_4(classifier.predict_proba(X), exact),
        "quantity_4_projected": quantity_4(projected, exact),
        "mean_diagonal": rates.trace() / len(rates),
        **{f"rate_{i + 1}{j + 1}": rates[i, j] for i, j in cells},
    }


def by_pair(trials, column):
    """Arrange a column in one row per trial and one column per pair.

    Parameters
    ----------
    trials : pandas.DataFrame
        Returned by `run_trials` for one protocol.
    column : str

    Returns
    -------
    table : pandas.DataFrame of shape (n_trials, n_pairs)

    Raises
    ------
    ValueError
        If a trial has a pair twice, as with several protocols.

    Examples
    --------
    >>> from skce.paper.trials import by_pair, run_trials
    >>> by_pair(run_trials(3), "quantity_4").shape
    (3, 4)
    """
    if trials.duplicated(["trial", "pairing"]).any():
        raise ValueError(
            "trials has several rows for one trial and pair: select one protocol and "
            "seed, such as trials[trials['max_iter'] == 8]."
        )
    wide = trials.pivot(index="trial", columns="pairing", values=column)
    return wide[list(dict.fromkeys(trials["pairing"]))]
