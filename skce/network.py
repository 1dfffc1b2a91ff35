"""The frozen network on one block of rows: forward, backward, Hessian product.

Letters after the paper: X is (n, p), a row a case; everything above it is units x
rows. Layer l has the weights W_l (n_out, n_in) and the biases b_l (n_out,), its
pre-activation is a_l = W_l y_{l-1} + b_l with y_0 = X^T, and its output is
y_l = f_h(a_l); the last a is the logits z (q, n).

All weights stand first in the flat parameter vector theta and all biases last, so
that the L2 term is one contiguous slice.
"""

from functools import cached_property
from itertools import pairwise

import numpy as np

__all__ = ["Network", "Workspace"]


class Workspace:
    """The arrays that one block of at most `n_rows` rows is computed in.

    Attributes
    ----------
    hidden, back : list of ndarray of shape (h_l, n_rows)
        Outputs of the hidden layers; gradients in them.
    logits : ndarray of shape (q, n_rows)
    ones : ndarray of shape (n_rows,)
    gradient : ndarray of shape (n_parameters,)
    """

    def __init__(self, network, n_rows, dtype):
        hidden_sizes = network.layer_sizes[1:-1]
        self.hidden = [np.empty((h, n_rows), dtype=dtype) for h in hidden_sizes]
        self.back = [np.empty((h, n_rows), dtype=dtype) for h in hidden_sizes]
        self.logits = np.empty((network.n_outputs, n_rows), dtype=dtype)
        self.ones = np.ones(n_rows, dtype=dtype)
        self.gradient = np.empty(network.n_parameters, dtype=dtype)
        self.grad_weights, self.grad_biases = network.unpack(self.gradient)
        self._views = {}

    def rows(self, n):
        """Views of `hidden`, `back` and `logits` for n rows."""
        if n not in self._views:
            self._views[n] = (
                [y[:, :n] for y in self.hidden],
                [d[:, :n] for d in self.back],
                self.logits[:, :n],
            )
        return self._views[n]


class Network:
    """A multilayer perceptron without parameters: shapes and formulas only.

    The kernels take the parameters of the *core* network (`to_core`), in which
    logistic hidden units are the tanh of half their argument; `to_core` is linear, and
    `from_core` with `scale` its transpose.

    Parameters
    ----------
    layer_sizes : sequence of int
        Inputs, hidden units of each layer, outputs: (p, h_1, ..., q).
    hidden_activation : HiddenActivation
    pairing : Pairing
    """

    def __init__(self, layer_sizes, hidden_activation, pairing):
        self.layer_sizes = tuple(layer_sizes)
        self.hidden_activation = hidden_activation
        self.core = hidden_activation.core or hidden_activation
        self.pairing = pairing
        self.n_outputs = self.layer_sizes[-1]
        self.weight_shapes = [(o, i) for i, o in pairwise(self.layer_sizes)]
        self.n_weights = sum(o * i for o, i in self.weight_shapes)
        self.n_parameters = self.n_weights + sum(self.layer_sizes[1:])
        self.ratio = hidden_activation.shift / hidden_activation.outer

    def unpack(self, theta):
        """Views of theta: the list of W_l (n_out, n_in) and that of b_l (n_out,)."""
        weights, biases = [], []
        start, bias_start = 0, self.n_weights
        for n_out, n_in in self.weight_shapes:
            stop, bias_stop = start + n_out * n_in, bias_start + n_out
            weights.append(theta[start:stop].reshape(n_out, n_in))
            biases.append(theta[bias_start:bias_stop])
            start, bias_start = stop, bias_stop
        return weights, biases

    def pack(self, weights, biases, dtype=np.float64):
        """One new flat theta from the W_l and b_l."""
        theta = np.empty(self.n_parameters, dtype=dtype)
        for views, arrays in zip(self.unpack(theta), (weights, biases), strict=True):
            for view, array in zip(views, arrays, strict=True):
                view[...] = array
        return theta

    @cached_property
    def scale(self):
        """Factors of theta in the core network, or None where they are the same."""
        f = self.hidden_activation
        if f.core is None or len(self.weight_shapes) == 1:
            return None
        scale = np.ones(self.n_parameters)
        weights, biases = self.unpack(scale)
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            W *= f.inner
            b *= f.inner
        for W in weights[1:]:
            W *= f.outer
        return scale

    def to_core(self, theta, out=None):
        """The parameters of the core network, in float64; `out` if given.

        With y = shift + outer g(inner a), a layer above computes W y + b =
        (outer W) g + (b + shift W 1), and a hidden one inner times that.
        """
        core = np.empty(self.n_parameters) if out is None else out
        if self.scale is None:
            core[...] = theta
            return core
        np.multiply(self.scale, theta, out=core)
        weights, biases = self.unpack(core)
        for W, b in zip(weights[1:], biases[1:], strict=True):
            b += self.ratio * np.add.reduce(W, axis=1)
        return core

    def from_core(self, weights, biases):
        """The transpose of `to_core` but for the factor `scale`: in place on views."""
        if self.scale is not None:
            for W, b in zip(weights[1:], biases[1:], strict=True):
                W += self.ratio * b[:, np.newaxis]

    def forward(self, weights, biases, X, work):
        """Outputs of the hidden layers, [(h_l, n), ...], and the logits, (q, n).

        Both are views of the workspace.
        """
        hidden, _, z = work.rows(X.shape[0])
        y = X.T
        for W, b, a in zip(weights, biases, (*hidden, z), strict=True):
            _matmul(W, y, a)
            a += b[:, np.newaxis]
            if a is not z:
                self.core.apply(a)
            y = a
        return hidden, z

    def loss_and_gradient(self, weights, biases, block, work):
        """The weighted sum of the block's losses and its gradient.

        Parameters
        ----------
        weights, biases : lists of ndarray
            Of the core network, of the dtype of the block's X.
        block : Block
        work : Workspace

        Returns
        -------
        loss : float
            Summed over the rows in float64. The gradient is in `work.gradient`.
        """
        hidden, z = self.forward(weights, biases, block.X, work)
        t = block.targets(self.n_outputs)
        loss, delta = self.pairing.loss_and_delta(z, t, labels=True, out=z)
        delta = delta.astype(z.dtype, copy=False)  # a penalty of a user may widen it
        if block.weights is not None:
            loss = loss * block.weights
            delta *= block.weights
        n = block.n_rows
        _, back, _ = work.rows(n)
        for layer in range(len(weights) - 1, -1, -1):
            np.dot(delta, work.ones[:n], out=work.grad_biases[layer])
            if layer == 0:
                _matmul(delta, block.X, work.grad_weights[0])
                break
            y = hidden[layer - 1]
            np.matmul(delta, y.T, out=work.grad_weights[layer])
            delta = np.matmul(weights[layer].T, delta, out=back[layer - 1])
            self.core.multiply_slope(y, delta)
        return float(np.add.reduce(loss, dtype=np.float64))

    def hessian_product(self, weights, biases, R_weights, R_biases, block, work):
        """H v of the weighted sum of the block's losses (Pearlmutter 1994).

        R{.} is the derivative along v = (R_weights, R_biases). The loop of
        `loss_and_gradient` is differentiated line by line, so the product is exact.

        Parameters
        ----------
        weights, biases, R_weights, R_biases : lists of ndarray
            Of the core network, of the dtype of the block's X.
        block : Block
        work : Workspace
            H v is in `work.gradient`.
        """
        f = self.core
        hidden, z = self.forward(weights, biases, block.X, work)

        R_hidden, R_inputs = [], []
        R_a = _matmul(R_weights[0], block.X.T)
        R_a += R_biases[0][:, np.newaxis]
        for layer, y in enumerate(hidden, start=1):
            R_inputs.append(R_a)
            R_hidden.append(f.derivative(y) * R_a)
            R_a = weights[layer] @ R_hidden[-1] + R_weights[layer] @ y
            R_a += R_biases[layer][:, np.newaxis]

        t = block.targets(self.n_outputs)
        _, delta = self.pairing.loss_and_delta(z, t, labels=True)
        R_delta = self.pairing.delta_derivative(z, t, R_a)
        if block.weights is not None:
            delta = delta * block.weights
            R_delta = R_delta * block.weights

        for layer in range(len(weights) - 1, -1, -1):
            # a user's function may have widened them
            delta = delta.astype(z.dtype, copy=False)
            R_delta = R_delta.astype(z.dtype, copy=False)
            np.dot(R_delta, work.ones[: block.n_rows], out=work.grad_biases[layer])
            if layer == 0:
                _matmul(R_delta, block.X, work.grad_weights[0])
                break
            y, R_y = hidden[layer - 1], R_hidden[layer - 1]
            np.matmul(R_delta, y.T, out=work.grad_weights[layer])
            work.grad_weights[layer] += delta @ R_y.T
            back = weights[layer].T @ delta
            R_back = weights[layer].T @ R_delta + R_weights[layer].T @ delta
            slope = f.derivative(y)
            delta = back * slope
            R_delta = R_back * slope
            R_delta += back * f.second_derivative(y) * R_inputs[layer - 1]


def _matmul(a, b, out=None):
    """`a` @ `b`, C-ordered, for a dense `a` and a dense or sparse `b`."""
    if isinstance(b, np.ndarray):
        return np.matmul(a, b, out=out)
    # scipy.sparse computes (b.T @ a.T).T, which is Fortran-ordered
    product = (b.T @ a.T).T
    if out is None:
        return np.ascontiguousarray(product)
    out[...] = product
    return out
