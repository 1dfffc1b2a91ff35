"""Stateless MLP kernels on one block of rows: forward, backward, Hessian product.

Letters after the paper: X is (n, p), one case per row; everything above it is units x
rows. Layer l has the pre-activation a_l = W_l y_{l-1} + b_l with y_0 = X^T, and its
output is y_l = f_h(a_l); the last a is the logits z (q, n), to which skip-layer
connections add S X^T. A hidden layer keeps a row of ones below its outputs, so that one
product gives W y + b, and one the gradients in both.
"""

from functools import cached_property

import numpy as np

from skce._network.parameters import Layers, Parametrisation

__all__ = ["Network", "Workspace", "matmul"]


class Workspace:
    """Arrays in which one thread computes blocks.

    Attributes
    ----------
    gradient : Layers
        In the dtype of the kernel; in the parameters of `part`, by default all.
    dtype : dtype
    """

    def __init__(self, network, dtype, part=None):
        self.network = network
        self.dtype = np.dtype(dtype)
        self._buffers = {}
        part = network if part is None else part
        self.gradient = Layers(part, np.empty(part.n_parameters, dtype=dtype))

    def buffers(self, n):
        """Return the arrays for n rows; the blocks of a cut have two sizes."""
        if n not in self._buffers:
            self._buffers[n] = Buffers(self.network, n, self.dtype)
        return self._buffers[n]


class Buffers:
    """Arrays for n rows. All are contiguous: NumPy is far slower on parts of rows.

    Attributes
    ----------
    hidden : list of ndarray of shape (h_l, n)
        Outputs of the hidden layers.
    kept : list of ndarray of shape (h_l, n)
        What the derivatives of the hidden activation are functions of: the outputs, or
        its inputs, which are stored for this alone.
    inputs, transposed : list of ndarray of shape (h_l + 1, n) and (n, h_l + 1)
        The same with the row of ones below; its transpose.
    back : list of ndarray of shape (h_l, n)
        Gradients in the outputs of the hidden layers.
    logits : ndarray of shape (q, n)
    skipped : ndarray of shape (q, n)
        S X^T; with skip-layer connections only.
    ones : ndarray of shape (n,)
    first_delta, skip_delta : ndarray of shape (h_1, n) and (q, n)
        After a kernel, what it has for the gradients in [W_1 | b_1] and in S: those in
        a_1 and, with skip-layer connections, in S X^T.
    """

    def __init__(self, network, n, dtype):
        hidden_sizes = network.layer_sizes[1:-1]
        self.inputs = [np.ones((h + 1, n), dtype=dtype) for h in hidden_sizes]
        self.transposed = [y.T for y in self.inputs]
        self.hidden = self.kept = [y[:-1] for y in self.inputs]
        if network.core.of_input:
            self.kept = [np.empty_like(y) for y in self.hidden]
        self.back = [np.empty((h, n), dtype=dtype) for h in hidden_sizes]
        self.logits = np.empty((network.n_outputs, n), dtype=dtype)
        if network.skip_layer:
            self.skipped = np.empty_like(self.logits)
        self.ones = np.ones(n, dtype=dtype)
        self.first_delta = self.skip_delta = None


class Network(Parametrisation):
    """A multilayer perceptron without parameters: shapes and formulas only.

    Parameters
    ----------
    layer_sizes : sequence of int
        Inputs, hidden units of each layer, outputs: (p, h_1, ..., q).
    hidden_activation : HiddenActivation
    pairing : Pairing
    skip_layer, inputs_first : bool, default=False
        See `Parametrisation`.
    """

    def __init__(
        self,
        layer_sizes,
        hidden_activation,
        pairing,
        skip_layer=False,
        inputs_first=False,
    ):
        super().__init__(layer_sizes, hidden_activation, skip_layer, inputs_first)
        self.pairing = pairing
        # looked up once, and not per block: they are guarded, see `valid_for`
        self._apply = self.core.apply
        self._multiply_slope = self.core.multiply_slope

    @cached_property
    def free(self):
        """Mask of the parameters that are fitted, (n_parameters,); None: all are."""
        found = self.pairing.activation.free_parameters(self.n_outputs)
        if found is None:
            return None
        weights, biases = found
        mask = np.ones(self.n_parameters, dtype=bool)
        last = self.unpack(mask)[-1]
        last[:, :-1], last[:, -1] = weights[:, np.newaxis], biases
        self.skip_weights(mask)[...] = weights[:, np.newaxis]
        return mask

    @property
    def n_free(self):
        """Number of the parameters that are fitted."""
        return self.n_parameters if self.free is None else int(self.free.sum())

    def __repr__(self):
        sizes = " - ".join(map(str, self.layer_sizes))
        sizes += " with a skip layer" if self.skip_layer else ""
        return f"<Network {sizes}, {self.hidden_activation.name}, {self.pairing}>"

    def __getstate__(self):  # without what is computed from it
        return {
            "layer_sizes": self.layer_sizes,
            "hidden_activation": self.hidden_activation,
            "pairing": self.pairing,
            "skip_layer": self.skip_layer,
            "inputs_first": self.inputs_first,
        }

    def __setstate__(self, state):
        self.__init__(**state)

    def forward(self, parameters, X, buffers, has_ones=False):
        """Compute the logits (q, n) in `buffers.logits`, and the hidden outputs.

        Parameters
        ----------
        parameters : Layers
            Of the dtype of X.
        X : ndarray or CSR of shape (n, p), or (n, p + 1) with `has_ones`
        buffers : Buffers
        has_ones : bool
            Whether X has a last column of ones.
        """
        last = len(parameters.matrices) - 1
        for layer, A in enumerate(parameters.matrices):
            a = buffers.logits if layer == last else buffers.hidden[layer]
            if layer > 0:
                np.matmul(A, buffers.inputs[layer - 1], out=a)
            elif has_ones:
                np.matmul(A, X.T, out=a)
            else:
                matmul(parameters.weights[0], X.T, a)
                a += parameters.biases[0]
            if layer < last:
                if self.core.of_input:
                    np.copyto(buffers.kept[layer], a)
                self._apply(a)
        if self.skip_layer:
            matmul(parameters.skip, _features(X, has_ones).T, buffers.skipped)
            buffers.logits += buffers.skipped
        return buffers.logits

    def loss_and_gradient(self, parameters, block, buffers, gradient):
        """Sum of w_i loss_i over the block, and its gradient.

        Parameters
        ----------
        parameters : Layers
            Of the dtype of the block's X.
        block : Block
        buffers : Buffers
            Of a workspace, for the block's number of rows.
        gradient : Layers
            Is overwritten. In the parameters of the network, or in those of
            `without_inputs`, where the caller makes the others of the deltas that
            `buffers` keeps.

        Returns
        -------
        loss : float
            Summed over the rows in float64.
        """
        loss, delta = self._loss_and_delta(parameters, block, buffers)
        if delta.dtype != buffers.logits.dtype:  # a user-defined penalty may widen it
            delta = delta.astype(buffers.logits.dtype)
        if block.weights is not None:
            delta *= block.weights
        if self.skip_layer:
            _skip_gradient(delta, block, buffers, gradient)
        for layer in range(len(parameters.matrices) - 1, 0, -1):
            np.matmul(
                delta, buffers.transposed[layer - 1], out=gradient.matrices[layer]
            )
            back = buffers.back[layer - 1]
            np.matmul(parameters.transposed[layer], delta, out=back)
            self._multiply_slope(buffers.kept[layer - 1], back)
            delta = back
        _first_gradient(delta, block, buffers, gradient)
        return loss

    def loss(self, parameters, block, buffers):
        """Sum of w_i loss_i over the block."""
        return self._loss_and_delta(parameters, block, buffers)[0]

    def _loss_and_delta(self, parameters, block, buffers):
        """Sum of w_i loss_i, and delta (q, n) without the weights."""
        z = self.forward(parameters, block.X, buffers, block.has_ones)
        t = block.targets()
        loss, delta = self.pairing.loss_and_delta(z, t, block.hard, out=z)
        if block.weights is not None:
            loss = loss * block.weights
        return float(np.add.reduce(loss, dtype=np.float64)), delta

    def gauss_newton_product(self, parameters, direction, block, buffers, product):
        """G v: `hessian_product` without the curvature of the network."""
        return self.hessian_product(
            parameters, direction, block, buffers, product, gauss_newton=True
        )

    def hessian_product(
        self, parameters, direction, block, buffers, product, gauss_newton=False
    ):
        """H v of the weighted sum of the block's losses (Pearlmutter 1994).

        R{.} is the derivative along v. The loop of `loss_and_gradient` is
        differentiated line by line, so the product is exact.

        Parameters
        ----------
        parameters, direction : Layers
            theta and v, of the dtype of the block's X.
        block : Block
        buffers : Buffers
        product : Layers
            Is overwritten with H v.
        gauss_newton : bool
            Whether to leave out the curvature of the network, and to keep that of the
            loss in the logits alone (Schraudolph 2002).

        Returns
        -------
        loss : float
            0; it is not computed.
        """
        f, weights = self.core, parameters.weights
        R_weights, R_biases = direction.weights, direction.biases
        z = self.forward(parameters, block.X, buffers, block.has_ones)

        R_hidden, R_inputs = [], []
        if block.has_ones:
            R_a = direction.matrices[0] @ block.X.T
        else:
            R_a = matmul(R_weights[0], block.X.T)
            R_a += R_biases[0]
        for layer, (y, kept) in enumerate(
            zip(buffers.hidden, buffers.kept, strict=True), start=1
        ):
            R_inputs.append(R_a)
            R_hidden.append(f.derivative(kept) * R_a)
            R_a = weights[layer] @ R_hidden[-1] + R_weights[layer] @ y
            R_a += R_biases[layer]
        if self.skip_layer:
            R_a += matmul(direction.skip, _features(block.X, block.has_ones).T)

        t = block.targets()
        R_delta = self.pairing.delta_derivative(z, t, R_a)
        if gauss_newton:
            delta = np.zeros_like(R_delta)
        else:
            _, delta = self.pairing.loss_and_delta(z, t, block.hard)
        if block.weights is not None:
            delta = delta * block.weights
            R_delta = R_delta * block.weights
        if self.skip_layer:
            _skip_gradient(R_delta, block, buffers, product)

        for layer in range(len(weights) - 1, -1, -1):
            # a user-defined function may have widened them
            delta = delta.astype(z.dtype, copy=False)
            R_delta = R_delta.astype(z.dtype, copy=False)
            if layer == 0:
                break
            kept, R_y = buffers.kept[layer - 1], R_hidden[layer - 1]
            np.matmul(
                R_delta, buffers.transposed[layer - 1], out=product.matrices[layer]
            )
            product.weights[layer][...] += delta @ R_y.T
            back = weights[layer].T @ delta
            R_back = weights[layer].T @ R_delta + R_weights[layer].T @ delta
            slope = f.derivative(kept)
            delta = back * slope
            R_delta = R_back * slope
            R_delta += back * f.second_derivative(kept) * R_inputs[layer - 1]
        _first_gradient(R_delta, block, buffers, product)
        return 0.0

    def jacobian(self, parameters, X, buffers, has_ones=False):
        """dz / d parameters of each row, (n, q, n_parameters), after `forward`.

        The backward pass of `loss_and_gradient` for a delta of each unit vector, row by
        row instead of summed over the rows. The parameters are W_l, b_l and S, in the
        order coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel()...
        skip_coef_.ravel().
        """
        n, q = X.shape[0], self.n_outputs
        self.forward(parameters, X, buffers, has_ones)
        X = X if isinstance(X, np.ndarray) else X.toarray()
        X = _features(X, has_ones)
        outputs = [X.T, *buffers.hidden]
        J = np.empty((n, q, self.n_parameters))
        slope = np.broadcast_to(np.eye(q)[:, :, np.newaxis], (q, q, n))
        stop = self.n_parameters - q * self._n_skip
        if self.skip_layer:
            in_S = J[:, :, stop:].reshape(n, q, -1, q)
            by_row = X[:, np.newaxis, :, np.newaxis]
            np.multiply(by_row, np.eye(q)[:, np.newaxis], out=in_S)
        for layer in range(len(outputs) - 1, -1, -1):
            n_out, n_in = self.weight_shapes[layer]
            middle, start = stop - n_out, stop - n_out * (n_in + 1)
            # from the parameters of the core network to W_l and b_l, as in `slopes`
            scale, bias_scale = self._scales[layer]
            inputs = scale * outputs[layer]
            if layer > 0:
                inputs += bias_scale * self._shift
            by_row = np.moveaxis(slope, 2, 0)  # (n, q, n_out)
            in_W = J[:, :, start:middle].reshape(n, q, n_in, n_out)
            np.multiply(
                inputs.T[:, np.newaxis, :, np.newaxis],
                by_row[:, :, np.newaxis, :],
                out=in_W,
            )
            np.multiply(bias_scale, by_row, out=J[:, :, middle:stop])
            stop = start
            if layer > 0:
                slope = parameters.transposed[layer] @ slope
                slope *= self.core.derivative(buffers.kept[layer - 1])
        return J


def _features(X, has_ones):
    """X without its column of ones."""
    return X[:, :-1] if has_ones else X


def _skip_gradient(delta, block, buffers, gradient):
    """The gradient in S, from that in the logits."""
    buffers.skip_delta = delta
    if gradient.skip.size:
        matmul(delta, _features(block.X, block.has_ones), gradient.skip)


def _first_gradient(delta, block, buffers, gradient):
    """The gradients in W_1 and b_1, from those in the first pre-activations."""
    A = gradient.matrices[0]
    buffers.first_delta = delta
    if block.has_ones:
        np.matmul(delta, block.X, out=A)
        return
    if gradient.weights[0].size:
        matmul(delta, block.X, gradient.weights[0])
    A[:, -1] = np.dot(delta, buffers.ones)


def matmul(a, b, out=None):
    """`a` @ `b`, C-ordered, for a dense `a` and a dense or sparse `b`."""
    if isinstance(b, np.ndarray):
        return np.matmul(a, b, out=out)
    # scipy.sparse computes (b.T @ a.T).T, which is Fortran-ordered, and copies an a
    # that is not
    product = (b.T @ a.T).T
    if out is None:
        return np.ascontiguousarray(product)
    out[...] = product
    return out
