"""The frozen network on one block of rows: forward, backward, Hessian product.

Letters after the paper: X is (n, p), a row a case; everything above it is units x
rows. Layer l has the weights W_l (n_out, n_in) and the biases b_l (n_out,), its
pre-activation is a_l = W_l y_{l-1} + b_l with y_0 = X^T, and its output is
y_l = f_h(a_l); the last a is the logits z (q, n).

The flat parameter vector theta holds the matrices [W_l | b_l] (n_out, n_in + 1), one
after the other. A hidden layer keeps a row of ones below its outputs, so that one
product gives W y + b, and one the gradients in both.
"""

from functools import cached_property
from itertools import pairwise

import numpy as np

__all__ = ["Layers", "Network", "Workspace"]


class Layers:
    """Views of a flat vector of parameters, or of a gradient in them.

    Attributes
    ----------
    flat : ndarray of shape (n_parameters,)
    matrices : list of ndarray of shape (n_out, n_in + 1)
        [W_l | b_l].
    weights, transposed, biases : list of ndarray
        W_l (n_out, n_in), its transpose, and b_l (n_out, 1).
    """

    def __init__(self, network, flat):
        self.flat = flat
        self.matrices = network.unpack(flat)
        self.weights = [A[:, :-1] for A in self.matrices]
        self.transposed = [W.T for W in self.weights]
        self.biases = [A[:, -1:] for A in self.matrices]


class Workspace:
    """The arrays that a thread computes a block in.

    Attributes
    ----------
    gradient : Layers
        In the dtype of the kernel.
    dtype : dtype
    """

    def __init__(self, network, dtype):
        self._network = network
        self.dtype = np.dtype(dtype)
        self._rows = {}
        self.gradient = Layers(network, np.empty(network.n_parameters, dtype=dtype))

    def rows(self, n):
        """The arrays for a block of n rows; the blocks of a cut have two sizes."""
        if n not in self._rows:
            self._rows[n] = Rows(self._network, n, self.dtype)
        return self._rows[n]


class Rows:
    """The arrays for n rows. All are contiguous: NumPy is far slower on parts of rows.

    Attributes
    ----------
    hidden : list of ndarray of shape (h_l, n)
        Outputs of the hidden layers.
    inputs, transposed : list of ndarray of shape (h_l + 1, n) and (n, h_l + 1)
        The same with the row of ones below; its transpose.
    back : list of ndarray of shape (h_l, n)
        Gradients in the outputs of the hidden layers.
    logits : ndarray of shape (q, n)
    ones : ndarray of shape (n,)
    """

    def __init__(self, network, n, dtype):
        hidden_sizes = network.layer_sizes[1:-1]
        self.inputs = [np.ones((h + 1, n), dtype=dtype) for h in hidden_sizes]
        self.transposed = [y.T for y in self.inputs]
        self.hidden = [y[:-1] for y in self.inputs]
        self.back = [np.empty((h, n), dtype=dtype) for h in hidden_sizes]
        self.logits = np.empty((network.n_outputs, n), dtype=dtype)
        self.ones = np.ones(n, dtype=dtype)


class Network:
    """A multilayer perceptron without parameters: shapes and formulas only.

    Where the hidden activation is an affine function of a cheaper one, of its `core`
    (logistic: of tanh), the network runs that, and theta are the parameters of this
    *core network*. `pack` and `weights_and_biases` translate: with
    y = shift + outer g(inner a), a layer above computes

        W y + b = (outer W) g + (b + shift W 1),

    and a hidden one `inner` times that. The solvers see theta too: tanh units have
    outputs about 0, so their weights and the biases above hardly interact, which
    saves 6 to 40 % of the evaluations (docs/benchmarks.md; LeCun et al. 1998,
    "Efficient BackProp").

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
        self._inner, self._outer, self._shift = 1.0, 1.0, 0.0
        if hidden_activation.core is not None:
            self._inner = hidden_activation.inner
            self._outer = hidden_activation.outer
            self._shift = hidden_activation.shift
        self.pairing = pairing
        self.n_outputs = self.layer_sizes[-1]
        self.weight_shapes = [(o, i) for i, o in pairwise(self.layer_sizes)]
        self.n_parameters = sum(o * (i + 1) for o, i in self.weight_shapes)

    def unpack(self, theta):
        """Views of theta: the list of [W_l | b_l], (n_out, n_in + 1)."""
        matrices, start = [], 0
        for n_out, n_in in self.weight_shapes:
            stop = start + n_out * (n_in + 1)
            matrices.append(theta[start:stop].reshape(n_out, n_in + 1))
            start = stop
        return matrices

    @cached_property
    def _scales(self):
        """Factor of each matrix [W_l | b_l] in the core network: of W_l and of b_l."""
        last = len(self.weight_shapes) - 1
        inner = [1.0 if layer == last else self._inner for layer in range(last + 1)]
        outer = [1.0 if layer == 0 else self._outer for layer in range(last + 1)]
        return [(i * o, i) for i, o in zip(inner, outer, strict=True)]

    @cached_property
    def penalty_factors(self):
        """Factors of the squares of theta in |W|^2, (n_parameters,); 0 for biases."""
        factors = np.zeros(self.n_parameters)
        for A, (scale, _) in zip(self.unpack(factors), self._scales, strict=True):
            A[:, :-1] = 1 / scale**2
        return factors

    def pack(self, weights, biases):
        """A new flat float64 theta from the W_l (n_out, n_in) and b_l (n_out,)."""
        theta = np.empty(self.n_parameters)
        ratio = self._shift
        layers = zip(self.unpack(theta), weights, biases, self._scales, strict=True)
        for layer, (A, W, b, (scale, bias_scale)) in enumerate(layers):
            A[:, :-1] = scale * np.asarray(W, dtype=float)
            A[:, -1] = b
            if layer > 0 and ratio:
                A[:, -1] += ratio * np.sum(W, axis=1, dtype=float)
            A[:, -1] *= bias_scale
        return theta

    def weights_and_biases(self, theta):
        """The inverse of `pack`: new float64 W_l (n_out, n_in) and b_l (n_out,)."""
        weights, biases = [], []
        ratio = self._shift
        layers = zip(self.unpack(theta), self._scales, strict=True)
        for layer, (A, (scale, bias_scale)) in enumerate(layers):
            weights.append(A[:, :-1] / scale)
            biases.append(A[:, -1] / bias_scale)
            if layer > 0 and ratio:
                biases[-1] -= ratio * weights[-1].sum(axis=1)
        return weights, biases

    def largest_slope(self, gradient):
        """max |d F / d W_l|, |d F / d b_l| of a gradient (n_parameters,) in theta."""
        slopes = self.slopes(gradient)
        return float(max(slopes.max(), -slopes.min()))

    def slopes(self, gradient):
        """d F / d W_l and d F / d b_l in the places of `gradient` in theta."""
        if self.core is self.hidden_activation or len(self.weight_shapes) == 1:
            return gradient
        factors, bias_factors, bias_places = self._slope_factors
        slopes = gradient[bias_places]
        slopes *= bias_factors
        slopes += factors * gradient
        return slopes

    @cached_property
    def _slope_factors(self):
        """What `slopes` multiplies by, and where the bias of each entry's unit is."""
        factors, bias_factors = np.zeros((2, self.n_parameters))
        places = np.arange(self.n_parameters)
        bias_places = places.copy()
        layers = zip(
            *map(self.unpack, (factors, bias_factors, places, bias_places)),
            self._scales,
            strict=True,
        )
        for layer, (f, bias_f, place, bias_place, scales) in enumerate(layers):
            f[:, :-1], f[:, -1] = scales
            bias_place[:, :-1] = place[:, -1:]
            if layer > 0:
                bias_f[:, :-1] = self._shift * scales[1]
        return factors, bias_factors, bias_places

    def forward(self, parameters, X, rows):
        """The logits, (q, n), at `rows.logits`; those of the hidden layers in `rows`.

        Parameters
        ----------
        parameters : Layers
            Of the dtype of X.
        X : ndarray or CSR of shape (n, p) or (n, p + 1)
            The latter with a last column of ones.
        rows : Rows
        """
        last = len(parameters.matrices) - 1
        for layer, A in enumerate(parameters.matrices):
            a = rows.logits if layer == last else rows.hidden[layer]
            if layer > 0:
                np.matmul(A, rows.inputs[layer - 1], out=a)
            elif X.shape[1] == A.shape[1]:
                np.matmul(A, X.T, out=a)
            else:
                _matmul(parameters.weights[0], X.T, a)
                a += parameters.biases[0]
            if layer < last:
                self.core.apply(a)
        return rows.logits

    def loss_and_gradient(self, parameters, block, rows, gradient):
        """The weighted sum of the block's losses and its gradient.

        Parameters
        ----------
        parameters : Layers
            Of the dtype of the block's X.
        block : Block
        rows : Rows
            Of a workspace, for the block's number of rows.
        gradient : Layers
            Where the gradient is written to.

        Returns
        -------
        loss : float
            Summed over the rows in float64.
        """
        loss, delta = self._loss_and_delta(parameters, block, rows)
        if delta.dtype != rows.logits.dtype:  # a penalty of a user may widen it
            delta = delta.astype(rows.logits.dtype)
        if block.weights is not None:
            delta *= block.weights
        for layer in range(len(parameters.matrices) - 1, 0, -1):
            np.matmul(delta, rows.transposed[layer - 1], out=gradient.matrices[layer])
            back = rows.back[layer - 1]
            np.matmul(parameters.transposed[layer], delta, out=back)
            self.core.multiply_slope(rows.hidden[layer - 1], back)
            delta = back
        _first_gradient(delta, block.X, rows, gradient)
        return loss

    def loss(self, parameters, block, rows):
        """The weighted sum of the block's losses, without the gradient."""
        return self._loss_and_delta(parameters, block, rows)[0]

    def _loss_and_delta(self, parameters, block, rows):
        """The weighted sum of the losses, and delta (q, n) without the weights."""
        z = self.forward(parameters, block.X, rows)
        t = block.targets(self.n_outputs)
        loss, delta = self.pairing.loss_and_delta(z, t, not block.soft, out=z)
        if block.weights is not None:
            loss = loss * block.weights
        return float(np.add.reduce(loss, dtype=np.float64)), delta

    def hessian_product(
        self, parameters, direction, block, rows, product, gauss_newton=False
    ):
        """H v of the weighted sum of the block's losses (Pearlmutter 1994).

        R{.} is the derivative along v. The loop of `loss_and_gradient` is
        differentiated line by line, so the product is exact.

        Parameters
        ----------
        parameters, direction : Layers
            theta and v, of the dtype of the block's X.
        block : Block
        rows : Rows
        product : Layers
            Where H v is written to.
        gauss_newton : bool
            Whether to leave out the curvature of the network, and to keep that of the
            loss in the logits alone (Schraudolph 2002).

        Returns
        -------
        loss : float
            0, as it is not computed.
        """
        f, weights = self.core, parameters.weights
        R_weights, R_biases = direction.weights, direction.biases
        z = self.forward(parameters, block.X, rows)

        R_hidden, R_inputs = [], []
        if block.X.shape[1] == direction.matrices[0].shape[1]:
            R_a = direction.matrices[0] @ block.X.T
        else:
            R_a = _matmul(R_weights[0], block.X.T)
            R_a += R_biases[0]
        for layer, y in enumerate(rows.hidden, start=1):
            R_inputs.append(R_a)
            R_hidden.append(f.derivative(y) * R_a)
            R_a = weights[layer] @ R_hidden[-1] + R_weights[layer] @ y
            R_a += R_biases[layer]

        t = block.targets(self.n_outputs)
        R_delta = self.pairing.delta_derivative(z, t, R_a)
        if gauss_newton:
            delta = np.zeros_like(R_delta)
        else:
            _, delta = self.pairing.loss_and_delta(z, t, not block.soft)
        if block.weights is not None:
            delta = delta * block.weights
            R_delta = R_delta * block.weights

        for layer in range(len(weights) - 1, -1, -1):
            # a user's function may have widened them
            delta = delta.astype(z.dtype, copy=False)
            R_delta = R_delta.astype(z.dtype, copy=False)
            if layer == 0:
                break
            y, R_y = rows.hidden[layer - 1], R_hidden[layer - 1]
            np.matmul(R_delta, rows.transposed[layer - 1], out=product.matrices[layer])
            product.weights[layer][...] += delta @ R_y.T
            back = weights[layer].T @ delta
            R_back = weights[layer].T @ R_delta + R_weights[layer].T @ delta
            slope = f.derivative(y)
            delta = back * slope
            R_delta = R_back * slope
            R_delta += back * f.second_derivative(y) * R_inputs[layer - 1]
        _first_gradient(R_delta, block.X, rows, product)
        return 0.0


def _first_gradient(delta, X, rows, gradient):
    """The gradients in W_1 and b_1, from those in the first pre-activations."""
    A = gradient.matrices[0]
    if X.shape[1] == A.shape[1]:
        np.matmul(delta, X, out=A)
        return
    _matmul(delta, X, gradient.weights[0])
    A[:, -1] = np.dot(delta, rows.ones)


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
