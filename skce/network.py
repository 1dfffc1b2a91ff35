"""The frozen network on one block of rows: forward, backward, Hessian product.

Letters after the paper: X is (n, p), a row a case; everything above it is units x
rows. Layer l has the weights W_l (n_out, n_in) and the biases b_l (n_out,), its
pre-activation is a_l = W_l y_{l-1} + b_l with y_0 = X^T, and its output is
y_l = f_h(a_l); the last a is the logits z (q, n).

All weights stand first in the flat parameter vector theta and all biases last, so
that the L2 term is one contiguous slice.
"""

from itertools import pairwise

import numpy as np

__all__ = ["Network"]


class Network:
    """A multilayer perceptron without parameters: shapes and formulas only.

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
        self.pairing = pairing
        self.n_outputs = self.layer_sizes[-1]
        self.weight_shapes = [(o, i) for i, o in pairwise(self.layer_sizes)]
        self.n_weights = sum(o * i for o, i in self.weight_shapes)
        self.n_parameters = self.n_weights + sum(self.layer_sizes[1:])

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

    def _forward(self, weights, biases, X):
        """Outputs of the hidden layers, [(h_l, n), ...], and the logits, (q, n)."""
        hidden = []
        y = X.T
        for W, b in zip(weights[:-1], biases[:-1], strict=True):
            y = _matmul(W, y)
            y += b[:, np.newaxis]
            self.hidden_activation.apply(y)
            hidden.append(y)
        z = _matmul(weights[-1], y)
        z += biases[-1][:, np.newaxis]
        return hidden, z

    def logits(self, weights, biases, X):
        """The logits z, (q, n)."""
        return self._forward(weights, biases, X)[1]

    def first_hidden(self, theta, X):
        """Outputs of the first hidden layer, (h_1, n)."""
        (W, *_), (b, *_) = self.unpack(theta)
        y = _matmul(W, X.T)
        y += b[:, np.newaxis]
        self.hidden_activation.apply(y)
        return y

    def loss_and_gradient(self, theta, block):
        """The weighted sum of the block's losses and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_parameters,), of the dtype of the block's X
        block : Block

        Returns
        -------
        loss : float
            Summed over the rows in float64.
        gradient : ndarray of shape (n_parameters,)
        """
        weights, biases = self.unpack(theta)
        hidden, z = self._forward(weights, biases, block.X)
        loss, delta = self.pairing.loss_and_delta(z, block.targets(self.n_outputs))
        if block.weights is not None:
            loss = loss * block.weights
            delta *= block.weights
        gradient = np.empty_like(theta)
        self._backward(weights, hidden, delta, block.X, *self.unpack(gradient))
        return float(loss.sum(dtype=np.float64)), gradient

    def _backward(self, weights, hidden, delta, X, grad_weights, grad_biases):
        """Write d loss / d W_l and d loss / d b_l; `delta` is that of the logits."""
        for layer in range(len(weights) - 1, -1, -1):
            if layer < len(hidden):
                delta *= self.hidden_activation.derivative(hidden[layer])
            delta.sum(axis=1, out=grad_biases[layer])
            if layer == 0:
                _matmul(delta, X, out=grad_weights[0])
            else:
                np.matmul(delta, hidden[layer - 1].T, out=grad_weights[layer])
                delta = weights[layer].T @ delta

    def hessian_product(self, theta, v, block):
        """H v of the weighted sum of the block's losses (Pearlmutter 1994).

        R{.} below is the derivative along v. The loop of `_backward` is
        differentiated line by line, so the product is exact.

        Parameters
        ----------
        theta, v : ndarray of shape (n_parameters,), of the dtype of the block's X
        block : Block

        Returns
        -------
        Hv : ndarray of shape (n_parameters,)
        """
        f = self.hidden_activation
        X = block.X
        weights, biases = self.unpack(theta)
        R_weights, R_biases = self.unpack(v)
        hidden, z = self._forward(weights, biases, X)

        R_hidden = []
        R_a = _matmul(R_weights[0], X.T)
        R_a += R_biases[0][:, np.newaxis]
        R_inputs = [R_a]
        for layer, y in enumerate(hidden, start=1):
            R_hidden.append(f.derivative(y) * R_a)
            R_a = weights[layer] @ R_hidden[-1] + R_weights[layer] @ y
            R_a += R_biases[layer][:, np.newaxis]
            R_inputs.append(R_a)

        t = block.targets(self.n_outputs)
        _, delta = self.pairing.loss_and_delta(z, t)
        R_delta = self.pairing.delta_derivative(z, t, R_a)
        if block.weights is not None:
            delta = delta * block.weights
            R_delta = R_delta * block.weights

        Hv = np.empty_like(theta)
        H_weights, H_biases = self.unpack(Hv)
        for layer in range(len(weights) - 1, -1, -1):
            R_delta.sum(axis=1, out=H_biases[layer])
            if layer == 0:
                _matmul(R_delta, X, out=H_weights[0])
                break
            y, R_y = hidden[layer - 1], R_hidden[layer - 1]
            np.matmul(R_delta, y.T, out=H_weights[layer])
            H_weights[layer] += delta @ R_y.T
            back = weights[layer].T @ delta
            R_back = weights[layer].T @ R_delta + R_weights[layer].T @ delta
            slope = f.derivative(y)
            delta = back * slope
            R_delta = R_back * slope
            R_delta += back * f.second_derivative(y) * R_inputs[layer - 1]
        return Hv


def _matmul(a, b, out=None):
    """a @ b, C-ordered, for a dense `a` and a dense or sparse `b`."""
    if isinstance(b, np.ndarray):
        return np.matmul(a, b, out=out)
    # scipy.sparse computes (b.T @ a.T).T, which is Fortran-ordered
    product = np.ascontiguousarray((b.T @ a.T).T)
    if out is None:
        return product
    out[...] = product
    return out
