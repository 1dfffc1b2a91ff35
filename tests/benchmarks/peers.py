"""Other implementations of one objective: softmax x cross-entropy, one hidden layer.

    1/n sum_i -log y_i[label_i] + decay / 2 |W|^2,

logistic hidden units, no penalty on the biases; decay = alpha / n. Peers that
cannot be imported are left out.
"""

import json
import shutil
import subprocess
from importlib.util import find_spec
from tempfile import TemporaryDirectory

import numpy as np

from skce._network.data import Data, Encoding
from skce._network.kernels import Network
from skce._network.objective import Objective
from skce._network.rows import LocalRows
from skce.losses.hidden import get_hidden_activation
from skce.losses.pairings import pair

HAS_TORCH = find_spec("torch") is not None
HAS_JAX = find_spec("jax") is not None
HAS_R = shutil.which("Rscript") is not None


def network(p, h, q):
    return Network(
        (p, h, q), get_hidden_activation("logistic"), pair("softmax", "natural")
    )


def ours(X, y, h, q, decay, run):
    """theta -> value and gradient, as the classifier computes them."""
    stateless = network(X.shape[1], h, q)
    rows = LocalRows(stateless, Data(X, y), Encoding(q), run)
    return Objective(stateless, rows, decay).value_and_gradient


def bare_products(X, h, q):
    """The five matrix products of one evaluation and nothing else."""
    rng = np.random.default_rng(1)
    n, p = X.shape
    W_1, W_2 = (rng.standard_normal(s).astype(X.dtype) for s in ((h, p), (q, h)))
    y_1, back = np.empty((h, n), X.dtype), np.empty((h, n), X.dtype)
    z = np.empty((q, n), X.dtype)
    G_1, G_2 = np.empty_like(W_1), np.empty_like(W_2)

    def products():
        np.matmul(W_1, X.T, out=y_1)
        np.matmul(W_2, y_1, out=z)
        np.matmul(z, y_1.T, out=G_2)
        np.matmul(W_2.T, z, out=back)
        np.matmul(back, X, out=G_1)

    return products


def start(p, h, q, dtype, seed=0):
    """Weights (n_out, n_in) and biases of both layers."""
    rng = np.random.default_rng(seed)
    shapes = ((h, p), (h,), (q, h), (q,))
    bounds = ((6 / (p + h)) ** 0.5, 0, (6 / (h + q)) ** 0.5, 0)
    return [
        rng.uniform(-b, b, s).astype(dtype) if b else np.zeros(s, dtype)
        for s, b in zip(shapes, bounds, strict=True)
    ]


def torch_parts(X, y, h, q, decay):
    """torch's parameters, and a closure for its optimisers."""
    import torch

    X_t, y_t = torch.from_numpy(X), torch.from_numpy(y)
    parameters = [
        torch.from_numpy(a).requires_grad_() for a in start(X.shape[1], h, q, X.dtype)
    ]
    W_1, b_1, W_2, b_2 = parameters

    def closure():
        for parameter in parameters:
            parameter.grad = None
        z = torch.sigmoid(X_t @ W_1.T + b_1) @ W_2.T + b_2
        value = torch.nn.functional.cross_entropy(z, y_t)
        value = value + decay / 2 * ((W_1**2).sum() + (W_2**2).sum())
        value.backward()
        return value

    return parameters, closure


def torch_lbfgs(X, y, h, q, decay, target):
    """A function that minimises until the objective is at most `target`."""
    import torch

    class ReachedError(Exception):
        pass

    def fit():
        parameters, closure = torch_parts(X, y, h, q, decay)

        def until_target():
            value = closure()
            if value.item() <= target:
                raise ReachedError
            return value

        optimiser = torch.optim.LBFGS(
            parameters,
            max_iter=2000,
            max_eval=4000,
            history_size=20,
            tolerance_grad=1e-9,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
        try:
            optimiser.step(until_target)
        except ReachedError:
            return
        raise RuntimeError(f"torch did not reach {target}")

    return fit


def jax_evaluation(X, y, h, q, decay):
    """A compiled value and gradient, at fixed parameters."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", X.dtype == np.float64)

    def objective(parameters, X, y):
        W_1, b_1, W_2, b_2 = parameters
        z = jax.nn.sigmoid(X @ W_1.T + b_1) @ W_2.T + b_2
        log_y = jax.nn.log_softmax(z)
        loss = -jnp.take_along_axis(log_y, y[:, None], axis=1).mean()
        return loss + decay / 2 * ((W_1**2).sum() + (W_2**2).sum())

    compiled = jax.jit(jax.value_and_grad(objective))
    parameters = [jnp.asarray(a) for a in start(X.shape[1], h, q, X.dtype)]
    X_j, y_j = jnp.asarray(X), jnp.asarray(y)
    return lambda: jax.block_until_ready(compiled(parameters, X_j, y_j))


R_SCRIPT = """
suppressMessages(library(nnet))
d <- as.matrix(read.csv("data.csv", header = FALSE)); p <- ncol(d) - 1
X <- d[, 1:p]; T <- class.ind(d[, p + 1])
seconds <- values <- numeric(TURNS)
for (i in 1:TURNS) {
  set.seed(i)
  seconds[i] <- system.time(for (k in 1:20) fit <- nnet(X, T, size = UNITS,
    softmax = TRUE, decay = DECAY, maxit = 2000, abstol = 0, reltol = 1e-8, rang = 0.7,
    trace = FALSE))[3] / 20
  values[i] <- fit$value
}
cat("[[", paste(seconds, collapse = ","), "],[", paste(values, collapse = ","), "]]")
"""


def r_nnet(X, y, h, alpha, turns):
    """Seconds of each turn, and its objective per row; None without R or its nnet.

    nnet minimises the sum of the losses plus decay |w|^2, biases included, so its
    decay is alpha / 2.
    """
    if not HAS_R:
        return None
    script = R_SCRIPT.replace("TURNS", str(turns)).replace("UNITS", str(h))
    with TemporaryDirectory() as folder:
        np.savetxt(f"{folder}/data.csv", np.column_stack([X, y]), delimiter=",")
        done = subprocess.run(
            ["Rscript", "-e", script.replace("DECAY", str(alpha / 2))],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        return None
    seconds, values = json.loads(done.stdout)
    return np.array(seconds), np.array(values) / len(y)
