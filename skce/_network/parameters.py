"""The flat parameter vector: its layout, and how it stands for weights and biases.

Layer l has the weights W_l (n_out, n_in) and the biases b_l (n_out,). The flat vector
theta holds the matrices [W_l | b_l] (n_out, n_in + 1), one after the other, and behind
them, with skip-layer connections, the weights S (q, p) from the inputs to the outputs.
With `inputs_first`, [W_1 | b_1] and S are stored transposed, input by input: what
scipy.sparse multiplies without copies of them.

Where the hidden activation is an affine function of a cheaper one, of its `core`
(logistic: of tanh), the network runs the core, and theta holds the parameters of this
*core network*. With y = shift + outer g(inner a), a layer above computes

    W y + b = (outer W) g + (b + shift W 1),

and a hidden one `inner` times that. The solvers see theta too: tanh units have outputs
about 0, so their weights and the biases above hardly interact, which saves 6 to 40 % of
the evaluations (docs/benchmarks.md; LeCun et al. 1998, "Efficient BackProp"). For an
activation whose derivatives are functions of its input (silu, gelu), the core is the
activation less its mean.
"""

from functools import cached_property
from itertools import chain, pairwise

import numpy as np

from skce.losses.hidden import HiddenActivation

__all__ = ["Layers", "Parametrisation", "are_floats", "described", "shapes_of"]


def shapes_of(coefs, intercepts, skip_coef):
    """Return the shapes of fitted attributes, as `Parametrisation.coef_shapes`.

    Those of each array of the two lists, () for what is no array, and that of
    skip_coef, None if it is None.
    """
    lists = [
        [getattr(a, "shape", ()) for a in arrays] for arrays in (coefs, intercepts)
    ]
    return *lists, None if skip_coef is None else getattr(skip_coef, "shape", ())


def described(shape):
    """Describe a skip_coef of a shape of `shapes_of`."""
    return "None" if shape is None else f"an array of shape {shape}"


def are_floats(coefs, intercepts, skip_coef):
    """Return whether fitted attributes are arrays of real floats, and lists of them."""
    lists = coefs, intercepts, [] if skip_coef is None else [skip_coef]
    return all(isinstance(arrays, list | tuple) for arrays in lists) and all(
        isinstance(array, np.ndarray) and array.dtype.kind == "f"
        for array in chain(*lists)
    )


class Layers:
    """Views of a flat vector of parameters, or of a gradient in them.

    Attributes
    ----------
    flat : ndarray of shape (n_parameters,)
    matrices : list of ndarray of shape (n_out, n_in + 1)
        [W_l | b_l].
    weights, transposed, biases : list of ndarray
        W_l (n_out, n_in), its transpose, and b_l (n_out, 1).
    skip : ndarray of shape (q, p)
        S; (q, 0) without skip-layer connections.
    """

    def __init__(self, parametrisation, flat):
        self.flat = flat
        self.matrices = parametrisation.unpack(flat)
        self.weights = [A[:, :-1] for A in self.matrices]
        self.transposed = [W.T for W in self.weights]
        self.biases = [A[:, -1:] for A in self.matrices]
        self.skip = parametrisation.skip_weights(flat)


class _Centered(HiddenActivation):
    """f(a) - E f(a), a of N(0, 1), for an f whose derivatives are functions of a.

    The mean of f would hide the differences between rows in the layers above.
    """

    of_input = True

    def __init__(self, f):
        self.f = f
        self.mean, _ = f.moments()
        self.has_kinks = f.has_kinks

    def apply(self, a):
        self.f.apply(a)
        a -= self.mean

    def derivative(self, a):
        return self.f.derivative(a)

    def multiply_slope(self, a, d):
        self.f.multiply_slope(a, d)

    def second_derivative(self, a):
        return self.f.second_derivative(a)


class Parametrisation:
    """Layout of theta, and the translation between theta and weights and biases.

    Parameters
    ----------
    layer_sizes : sequence of int
        Inputs, hidden units of each layer, outputs: (p, h_1, ..., q).
    hidden_activation : HiddenActivation
    skip_layer : bool, default=False
        Whether inputs go straight to the outputs as well, beside the hidden layers.
        Without hidden layers it is of no effect: that is what the only layer does.
    inputs_first : bool, default=False
        Whether the weights of the inputs are stored for the products of a sparse X.
    """

    def __init__(
        self, layer_sizes, hidden_activation, skip_layer=False, inputs_first=False
    ):
        self.layer_sizes = tuple(layer_sizes)
        self.hidden_activation = hidden_activation
        self.core = hidden_activation.core or hidden_activation
        self._inner, self._outer, self._shift = 1.0, 1.0, 0.0
        if self.core.of_input:
            self.core = _Centered(hidden_activation)
            self._shift = self.core.mean
        elif hidden_activation.core is not None:
            self._inner = hidden_activation.inner
            self._outer = hidden_activation.outer
            self._shift = hidden_activation.shift
        self.n_outputs = self.layer_sizes[-1]
        self.weight_shapes = [(o, i) for i, o in pairwise(self.layer_sizes)]
        self.skip_layer = bool(skip_layer) and self.has_hidden_units
        self._n_skip = self.layer_sizes[0] if self.skip_layer else 0
        self.inputs_first = bool(inputs_first)
        self.n_parameters = sum(o * (i + 1) for o, i in self.weight_shapes)
        self.n_parameters += self.n_outputs * self._n_skip

    @property
    def coef_shapes(self):
        """Shapes of the fitted attributes: lists of coefs_ and intercepts_, skip_coef_.

        None for the last without skip-layer connections.
        """
        coefs = [(n_in, n_out) for n_out, n_in in self.weight_shapes]
        skip_shape = (self._n_skip, self.n_outputs) if self.skip_layer else None
        return coefs, [(n_out,) for _, n_out in coefs], skip_shape

    @property
    def has_hidden_units(self):
        """Whether there are hidden layers."""
        return len(self.weight_shapes) > 1

    @property
    def has_kinks(self):
        """Whether the network is not smooth in its parameters."""
        return self.has_hidden_units and self.core.has_kinks

    # Mask of the parameters that are fitted, (n_parameters,); None: all are
    free = None

    def unpack(self, theta):
        """Views of theta: the list of [W_l | b_l], (n_out, n_in + 1)."""
        matrices, start = [], 0
        for n_out, n_in in self.weight_shapes:
            stop = start + n_out * (n_in + 1)
            if start == 0:
                matrices.append(self._of_inputs(theta[:stop], n_out, n_in + 1))
            else:
                matrices.append(theta[start:stop].reshape(n_out, n_in + 1))
            start = stop
        return matrices

    def _of_inputs(self, part, n_out, n_in):
        """View (n_out, n_in) of a part of theta that belongs to the inputs."""
        if self.inputs_first:
            return part.reshape(n_in, n_out).T
        return part.reshape(n_out, n_in)

    def skip_weights(self, theta):
        """View of theta: S (q, p), or (q, 0) without skip-layer connections.

        The same in the core network.
        """
        size = self.n_outputs * self._n_skip
        part = theta[len(theta) - size :]
        return self._of_inputs(part, self.n_outputs, self._n_skip)

    def input_weights(self, theta):
        """Views of theta: W (n_out, p) of the inputs and the biases that go with it.

        W_1 and b_1, and with skip-layer connections S and the biases of the outputs.
        """
        n_out, n_in = self.weight_shapes[0]
        A = self._of_inputs(theta[: n_out * (n_in + 1)], n_out, n_in + 1)
        pairs = [(A[:, :-1], A[:, -1])]
        if self.skip_layer:
            pairs.append((self.skip_weights(theta), self.unpack(theta)[-1][:, -1]))
        return pairs

    @cached_property
    def without_inputs(self):
        """The `Parametrisation` of all but W_1 and S.

        With `inputs_first`, their places in theta are neighbours.
        """
        sizes = (0, *self.layer_sizes[1:])
        return Parametrisation(sizes, self.hidden_activation)

    @cached_property
    def _scales(self):
        """Factors of each [W_l | b_l] in the core network: of W_l and of b_l."""
        last = len(self.weight_shapes) - 1
        inner = [1.0 if layer == last else self._inner for layer in range(last + 1)]
        outer = [1.0 if layer == 0 else self._outer for layer in range(last + 1)]
        return [(i * o, i) for i, o in zip(inner, outer, strict=True)]

    @cached_property
    def l2_factors(self):
        """Factors of the squares of theta in |W|^2, (n_parameters,); 0 for biases."""
        factors = np.zeros(self.n_parameters)
        for A, (scale, _) in zip(self.unpack(factors), self._scales, strict=True):
            A[:, :-1] = 1 / scale**2
        self.skip_weights(factors)[...] = 1
        return factors if self.free is None else factors * self.free

    def pack(self, weights, biases, skip=0.0):
        """Pack W_l (n_out, n_in), b_l (n_out,) and S (q, p) into a float64 theta."""
        theta = np.empty(self.n_parameters)
        layers = zip(self.unpack(theta), weights, biases, self._scales, strict=True)
        for layer, (A, W, b, (scale, bias_scale)) in enumerate(layers):
            A[:, :-1] = scale * np.asarray(W, dtype=float)
            A[:, -1] = b
            if layer > 0 and self._shift:
                A[:, -1] += self._shift * np.sum(W, axis=1, dtype=float)
            A[:, -1] *= bias_scale
        self.skip_weights(theta)[...] = skip
        return theta

    def pack_coefs(self, coefs, intercepts, skip_coef=None):
        """Pack arrays of the shapes of coefs_, intercepts_ and skip_coef_."""
        skip = 0.0 if skip_coef is None else np.transpose(skip_coef)
        return self.pack([coef.T for coef in coefs], intercepts, skip)

    def weights_and_biases(self, theta):
        """Invert `pack`: new float64 W_l (n_out, n_in) and b_l (n_out,).

        (S is `skip_weights`.)
        """
        weights, biases = [], []
        layers = zip(self.unpack(theta), self._scales, strict=True)
        for layer, (A, (scale, bias_scale)) in enumerate(layers):
            weights.append(A[:, :-1] / scale)
            biases.append(A[:, -1] / bias_scale)
            if layer > 0 and self._shift:
                biases[-1] -= self._shift * weights[-1].sum(axis=1)
        return weights, biases

    def largest_slope(self, gradient):
        """max |d F / d W_l|, |d F / d b_l| of a gradient (n_parameters,) in theta."""
        slopes = self.slopes(gradient)
        # without the Python wrappers of slopes.max() and .min(), once per iteration
        return float(max(np.maximum.reduce(slopes), -np.minimum.reduce(slopes)))

    def slopes(self, gradient):
        """Derivatives in W_l and b_l from those in theta, (n_parameters,).

        In the places that W_l and b_l have in theta.
        """
        if self.core is self.hidden_activation or not self.has_hidden_units:
            return gradient
        factors, bias_factors, bias_places = self._slope_factors
        slopes = gradient.take(bias_places)
        slopes *= bias_factors
        slopes += factors * gradient
        return slopes

    @cached_property
    def _slope_factors(self):
        """Factors of `slopes`, and the place of the bias of each entry's unit."""
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
        self.skip_weights(factors)[...] = 1
        if self.free is not None:
            factors, bias_factors = factors * self.free, bias_factors * self.free
        return factors, bias_factors, bias_places

    @cached_property
    def public_order(self):
        """Places in theta of the fitted attributes, one after the other.

        coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel()... skip_coef_.ravel().
        """
        places = np.arange(self.n_parameters)
        matrices = self.unpack(places)
        parts = [part for A in matrices for part in (A[:, :-1].T.ravel(), A[:, -1])]
        return np.concatenate([*parts, self.skip_weights(places).T.ravel()])
