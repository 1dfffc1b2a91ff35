"""The data of the benchmarks: generated here, or part of scikit-learn."""

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

# name: rows, features, hidden units, classes
SHAPES = {
    "paper": (400, 2, 4, 4),
    "digits": (1797, 64, 100, 10),
    "mid": (20_000, 50, 64, 5),
    "tall": (1_000_000, 20, 32, 3),
    "wide": (60_000, 784, 128, 10),
}


def noise(name, dtype, scale=1):
    """Unrelated X and y of that shape, with the fraction `scale` of its rows."""
    n, p, h, q = SHAPES[name]
    n = max(int(n * scale), 100)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p), dtype=np.float32).astype(dtype)
    return X, rng.integers(0, q, n), h, q


def paper(seed=0):
    """Four Gaussians about (+-1, +-1), 100 rows each (Dunne & Campbell)."""
    rng = np.random.default_rng(seed)
    centres = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    y = np.repeat(np.arange(4), 100)
    return centres[y] + rng.standard_normal((400, 2)), y


def digits():
    """scikit-learn's digits, scaled: 1797 x 64, 10 classes."""
    X, y = load_digits(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def teacher(n, p, q, h, *, relu=False, test=20_000, seed=0, depth=3.0):
    """Classes drawn from the softmax of a random network: X, y and test rows."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((p, h), dtype=np.float32) * np.float32(2 / p**0.5)
    shift = rng.standard_normal(h, dtype=np.float32)
    second = rng.standard_normal((h, q), dtype=np.float32) * np.float32(depth / h**0.5)

    def draw(m):
        X = rng.standard_normal((m, p), dtype=np.float32)
        a = X @ first + shift
        a = np.maximum(a, 0) if relu else np.tanh(a)
        z = (a - a.mean(axis=0)) @ second
        z += rng.gumbel(size=z.shape).astype(np.float32)
        return X, z.argmax(axis=1)

    return *draw(n), *draw(test)


def latent(n, test=10_000, seed=0):
    """784 noisy mixtures of 30 latent features; the ten classes of a teacher."""
    Z, y, Z_test, y_test = teacher(n, 30, 10, 20, test=test, seed=seed)
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((30, 784), dtype=np.float32) / np.float32(30**0.5)

    def mixed(Z):
        noise = rng.standard_normal((len(Z), 784), dtype=np.float32)
        return Z @ mixing + np.float32(0.5) * noise

    return mixed(Z), y, mixed(Z_test), y_test


def pictures(n, test=10_000, seed=0):
    """28 x 28 pixels of scikit-learn's digits, enlarged, turned, moved, with noise.

    The training rows are made from 1400 digits, the test rows from the others.
    """
    from scipy import ndimage

    D, y = load_digits(return_X_y=True)
    D = D.reshape(-1, 8, 8) / 16
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(D))

    def draw(sources, m):
        chosen = rng.choice(sources, m)
        X = rng.standard_normal((m, 784), dtype=np.float32) * np.float32(0.1)
        for row, k in zip(X, chosen, strict=True):
            angle, size = 0.2 * rng.standard_normal(), rng.uniform(0.85, 1.25)
            turn = np.array(
                [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            )
            turn = turn @ [[1, 0.15 * rng.standard_normal()], [0, 1]] * (8 / 28 * size)
            centre = 13.5 + 1.5 * rng.standard_normal(2)
            picture = ndimage.affine_transform(
                D[k], turn, 3.5 - turn @ centre, output_shape=(28, 28), order=1
            )
            row += picture.ravel()
        return X, y[chosen]

    (X, labels), (X_test, labels_test) = draw(order[:1400], n), draw(order[1400:], test)
    mean, scale = X.mean(axis=0), X.std(axis=0)
    return (X - mean) / scale, labels, (X_test - mean) / scale, labels_test


def income(n):
    """Answers to 13 questions as 75 indicators, and nine classes that depend on them.

    Of the shape of the income data of Hastie, Tibshirani & Friedman.
    """
    rng = np.random.default_rng(0)
    columns = []
    for k in (5, 2, 5, 7, 6, 9, 5, 3, 9, 9, 3, 5, 7):
        answers = rng.choice(k, n, p=rng.dirichlet(np.ones(k)))
        columns.append(np.eye(k)[answers])
    X = np.hstack(columns)
    z = X @ rng.standard_normal((X.shape[1], 9)) + rng.gumbel(size=(n, 9))
    return X, z.argmax(axis=1)


def text(n, p, n_words=60, n_classes=4):
    """CSR rows of about 60 of p words, whose frequencies depend on the class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n)
    words = np.minimum(rng.zipf(1.3, (n, n_words)) - 1, p - 1)
    topical = rng.random((n, n_words)) < 0.2
    words = np.where(topical, (words * n_classes + y[:, np.newaxis]) % p, words)
    values = np.full(words.size, n_words**-0.5)
    rows = np.repeat(np.arange(n), n_words)
    X = sparse.csr_matrix((values, (rows, words.ravel())), shape=(n, p))
    return X, y
