"""Simulate classes with an exactly known posterior: the paper's section 3 and data."""

import numpy as np
from scipy.special import softmax

from skce._support.optional import optional
from skce.classifier import PairedMLPClassifier

__all__ = [
    "GAUSSIAN_CLASSES",
    "POISSON_CLASSES",
    "ExponentialClasses",
    "GaussianClasses",
    "PoissonClasses",
    "quantity_4",
    "section_3",
]


class ExponentialClasses:
    """q equally likely classes of one exponential family with a common scale.

    P(x | C_k) = c(x) exp(theta_k . x - b(theta_k)), so that by Bayes' rule

        P(C_k | x) = softmax_k(theta_k . x - b(theta_k)),

    the paper's (3): a network without hidden units can represent it exactly.

    Parameters
    ----------
    theta : array-like of shape (q, p)
        The natural parameters of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.paper.simulation import GAUSSIAN_CLASSES, ExponentialClasses
    >>> isinstance(GAUSSIAN_CLASSES, ExponentialClasses)
    True
    >>> X, y = GAUSSIAN_CLASSES.sample(100, np.random.default_rng(0))
    >>> X.shape, GAUSSIAN_CLASSES.posterior(X).shape
    ((400, 2), (400, 4))
    """

    def __init__(self, theta):
        self.theta = np.asarray(theta, dtype=float)

    def log_normaliser(self):
        """b(theta_k) of each class, (q,)."""
        raise NotImplementedError

    def draw(self, y, rng):
        """Draw the features, (n, p), of cases of the classes y, (n,)."""
        raise NotImplementedError

    def sample(self, n_per_class, rng):
        """Draw X, (q n_per_class, p), and y, sorted by class."""
        y = np.repeat(np.arange(len(self.theta)), n_per_class)
        return self.draw(y, rng), y

    def coefficients(self):
        """theta_k and -b(theta_k), minus their means over the classes: (p, q), (q,).

        They are centred because adding the same to all classes does not change the
        posterior.
        """
        b = self.log_normaliser()
        return (self.theta - self.theta.mean(axis=0)).T, b.mean() - b

    def posterior(self, X):
        """P(C_k | x), (n, q)."""
        return softmax(X @ self.theta.T - self.log_normaliser(), axis=1)


class GaussianClasses(ExponentialClasses):
    """Gaussian features of unit covariance; theta_k is the mean of class k.

    Examples
    --------
    >>> from skce.paper.simulation import GaussianClasses
    >>> GaussianClasses([(1, 1), (-1, -1)]).posterior([(0.0, 0.0), (1.0, 1.0)]).round(3)
    array([[0.5  , 0.5  ],
           [0.982, 0.018]])
    """

    def log_normaliser(self):
        """|mu_k|^2 / 2."""
        return (self.theta**2).sum(axis=1) / 2

    def draw(self, y, rng):
        """mu_y plus standard normal noise."""
        return self.theta[y] + rng.standard_normal((len(y), self.theta.shape[1]))


class PoissonClasses(ExponentialClasses):
    """Independent Poisson counts; theta_k are the logarithms of their means.

    Examples
    --------
    >>> import numpy as np
    >>> from skce.paper.simulation import PoissonClasses
    >>> PoissonClasses(np.log([(1,), (4,)])).posterior([(0.0,), (5.0,)]).round(3)
    array([[0.953, 0.047],
           [0.019, 0.981]])
    """

    def log_normaliser(self):
        """The sum of the means."""
        return np.exp(self.theta).sum(axis=1)

    def draw(self, y, rng):
        """Counts of mean exp(theta_y)."""
        return rng.poisson(np.exp(self.theta[y])).astype(float)


# Section 4.1 of the paper: means (+-1, +-1). Classes 1 and 4 are opposite corners, as
# table 3 shows.
GAUSSIAN_CLASSES = GaussianClasses([(1, 1), (1, -1), (-1, 1), (-1, -1)])
POISSON_CLASSES = PoissonClasses(np.log([(1, 1), (1, 4), (4, 1), (3, 3)]))


def quantity_4(estimated, exact, *, per_case=False):
    """sqrt(sum_n sum_k (estimated_nk - exact_nk)^2), the paper's (4).

    The distance of estimated from exact posterior probabilities.

    Parameters
    ----------
    estimated, exact : array-like of shape (n, q)
    per_case : bool, default=False
        Whether to divide the sum by the number of cases, as the paper prints it. Its
        table 2 cannot have been computed in this way: for four classes (4) would be at
        most 2 (sqrt(2) if the estimates are probabilities), but the table has 3.9 to
        4.6.

    Returns
    -------
    distance : float

    Examples
    --------
    >>> from skce.paper.simulation import quantity_4
    >>> quantity_4([[1, 0], [0, 1]], [[1, 0], [1, 0]])
    1.414
    >>> quantity_4([[1, 0], [0, 1]], [[1, 0], [1, 0]], per_case=True)
    1.0
    """
    squares = np.square(np.subtract(estimated, exact)).sum(axis=1)
    return float(np.sqrt(squares.mean() if per_case else squares.sum()))


def section_3(sizes=(400, 1600, 6400, 25600), n_repeats=25, seed=0):
    """Measure how fast fitted coefficients approach those of the exact posterior.

    For four Gaussian and four Poisson classes and no hidden units: the root mean square
    error of the coefficients of softmax x cross_entropy, centred over the classes,
    beside the asymptotic error of maximum likelihood, sqrt(trace(F^+) / (n m)), where F
    is the Fisher information of one case and m the number of coefficients.

    Parameters
    ----------
    sizes : sequence of int, default=(400, 1600, 6400, 25600)
        Numbers of cases, n.
    n_repeats : int, default=25
        Number of samples of each size.
    seed : int, default=0

    Returns
    -------
    table : pandas.DataFrame
        One row per family and n: rms_error; asymptotic, its theoretical value; their
        ratio; ratio_error, the theoretical standard error of the ratio; and slope, the
        slope of log rms_error against log n over all sizes, which is -1/2 in theory.

    Examples
    --------
    >>> from skce.paper.simulation import section_3
    >>> table = section_3(sizes=(400,), n_repeats=2)
    >>> table.index.tolist()
    [('Gaussian', 400), ('Poisson', 400)]
    """
    frame = optional("pandas", "section_3").DataFrame
    families = {"Gaussian": GAUSSIAN_CLASSES, "Poisson": POISSON_CLASSES}
    rows = []
    for family, classes in families.items():
        rng = np.random.default_rng(seed)
        W, b = classes.coefficients()
        exact = np.vstack([b, W])
        variances = _asymptotic_variances(classes, rng)
        errors = np.array(
            [
                [((_linear_fit(classes, n, rng) - exact) ** 2).mean() for n in sizes]
                for _ in range(n_repeats)
            ]
        )
        rms = np.sqrt(errors.mean(axis=0))
        asymptotic = np.sqrt(variances.sum() / exact.size / np.array(sizes))
        # The mean square is a sum of independent squares; d sqrt(m) = dm / (2 sqrt(m))
        share = (variances**2).sum() / variances.sum() ** 2
        ratio_error = np.sqrt(2 * share / n_repeats) / 2
        slope = np.nan
        if len(sizes) > 1:
            slope = np.polyfit(np.log(sizes), np.log(rms), 1)[0]
        rows += [
            [family, n, error, law, error / law, ratio_error, slope]
            for n, error, law in zip(sizes, rms, asymptotic, strict=True)
        ]
    columns = ["family", "n", "rms_error", "asymptotic", "ratio", "ratio_error"]
    return frame(rows, columns=[*columns, "slope"]).set_index(["family", "n"])


def _linear_fit(classes, n, rng):
    """Fit n cases; return biases and weights, (1 + p, q), centred over the classes."""
    y = rng.integers(len(classes.theta), size=n)
    fit = PairedMLPClassifier(
        "softmax",
        "cross_entropy",
        hidden_layer_sizes=(),
        alpha=0,
        solver="newton-cg",
        tol=1e-8,
    ).fit(classes.draw(y, rng), y)
    coefficients = np.vstack([fit.intercepts_[0], fit.coefs_[0]])
    return coefficients - coefficients.mean(axis=1, keepdims=True)


def _asymptotic_variances(classes, rng, n=100_000):
    """Return n times the variances of the centred coefficients on principal axes.

    They are the eigenvalues of the pseudo-inverse of the Fisher information of one
    case. It is singular in the direction that adds the same to all classes, where the
    centred coefficients do not vary.
    """
    y = rng.integers(len(classes.theta), size=n)
    X = classes.draw(y, rng)
    p, x = classes.posterior(X), np.column_stack([np.ones(n), X])
    q, width = p.shape[1], x.shape[1]
    information = np.zeros((q, width, q, width))
    for k in range(q):
        for j in range(q):
            weight = p[:, k] * ((k == j) - p[:, j])
            information[k, :, j] = (x * weight[:, None]).T @ x / n
    inverse = np.linalg.pinv(information.reshape(q * width, -1), rcond=1e-10)
    return np.linalg.eigvalsh(inverse)
