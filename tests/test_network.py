"""The objective of a whole network: gradient, Hessian product, blocks, sparse X."""

import pickle
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from itertools import chain
from multiprocessing import get_context
from threading import Barrier

import numpy as np
import pytest
from problems import PAIRINGS, label
from scipy import sparse

from skce._inputs.duplicates import merge_duplicates
from skce._network.blocks import row_slices
from skce._network.data import Data, Encoding
from skce._network.executors import serial, share_out
from skce._network.heads import ArrayOperations
from skce._network.kernels import Network, Workspace
from skce._network.objective import Objective
from skce._network.parameters import Layers
from skce._network.rows import LocalRows
from skce.losses.hidden import (
    HIDDEN_ACTIVATIONS,
    HiddenActivation,
    HiddenLogistic,
    HiddenReLU,
    HiddenTanh,
)
from skce.uncertainty._curvature import flat, unflat

N, P = 30, 3
# Hidden layers, and whether there are skip-layer connections
LAYERS = [((), False), ((4,), False), ((4, 3), False), ((4, 3), True)]


def data(pairing, rng):
    X = rng.normal(size=(N, P))
    if pairing.activation.elementwise:
        labels = rng.integers(0, 2, (N, 3))
    else:
        labels = rng.integers(0, 3, N)
    return X, labels


def objective_of(network, X, labels, weights=None, rows=N, l2=0.01, run=serial):
    data, encoding = Data(X, labels, weights), Encoding(network.n_outputs)
    rows = LocalRows(network, data, encoding, run, max_rows=rows)
    return Objective(network, rows, l2)


def objective(pairing, X, labels, *, hidden=(4, 3), f="tanh", skip=False, **options):
    network = Network((P, *hidden, 3), HIDDEN_ACTIVATIONS[f], pairing, skip)
    return objective_of(network, X, labels, **options)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
@pytest.mark.parametrize("f", HIDDEN_ACTIVATIONS)
def test_gradient_and_hessian_product_against_central_differences(
    pairing, hidden, skip, f
):
    rng = np.random.default_rng(0)
    X, labels = data(pairing, rng)
    weights = rng.uniform(0, 2, N)
    layers = {"hidden": hidden, "skip": skip}
    F = objective(pairing, X, labels, **layers, f=f, weights=weights, rows=11)
    theta, v = rng.normal(size=(2, F.network.n_parameters))
    h = 1e-5
    gradient = F.value_and_gradient(theta)[1]
    for i in range(theta.size):
        shift = np.zeros_like(theta)
        shift[i] = h
        above, below = (F.value_and_gradient(theta + s)[0] for s in (shift, -shift))
        slope = (above - below) / (2 * h)
        rounding = 1e-8 * max(1, abs(above), abs(slope))
        assert gradient[i] == pytest.approx(slope, abs=rounding)
    h = 1e-6  # v is a long vector
    above, below = (F.value_and_gradient(theta + s * v)[1] for s in (h, -h))
    expected = (above - below) / (2 * h)
    product = F.hessian_product(theta, v)
    np.testing.assert_allclose(product, expected, rtol=1e-7, atol=2e-8)


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
@pytest.mark.parametrize("f", HIDDEN_ACTIVATIONS)
def test_a_skip_layer_contains_the_network_without_hidden_layers(pairing, f):
    """Where the outputs' weights of hidden units are 0, to the last digits."""
    rng = np.random.default_rng(15)
    X, labels = data(pairing, rng)
    linear = objective(pairing, X, labels, hidden=(), skip=True)
    assert not linear.network.skip_layer  # it would be the same once more
    W, b = rng.normal(size=(3, P)), rng.normal(size=3)
    expected, slope = linear.value_and_gradient(linear.network.pack([W], [b]))
    F = objective(pairing, X, labels, f=f, skip=True)
    weights, biases = F.network.weights_and_biases(np.zeros(F.network.n_parameters))
    weights[0][...], biases[-1][...] = rng.normal(size=(4, P)), b
    theta = F.network.pack(weights, biases, W)
    value, gradient = F.value_and_gradient(theta)
    value -= 0.005 * (weights[0] ** 2).sum()
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(
        F.network.skip_weights(gradient),
        linear.network.unpack(slope)[0][:, :-1],
        rtol=1e-12,
        atol=1e-14,
    )


class LeakyReLU(HiddenReLU):
    """A user-defined hidden activation, with derivatives in float64."""

    def apply(self, a):
        np.maximum(a, 0.1 * a, out=a)

    def derivative(self, y):
        return np.where(y > 0, 1.0, 0.1)


class LeCunTanh(HiddenTanh):
    def apply(self, a):
        a *= 2 / 3
        np.tanh(a, out=a)
        a *= 1.7159

    def derivative(self, y):
        return 1.7159 * 2 / 3 * (1 - (y / 1.7159) ** 2)


class Squashed(HiddenLogistic):
    def apply(self, a):
        a /= 1 + np.abs(a)

    def derivative(self, y):
        return (1 - np.abs(y)) ** 2


@pytest.mark.parametrize("f", [LeakyReLU(), LeCunTanh(), Squashed()], ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_subclass_does_not_inherit_the_shortcuts_of_its_parent(f, dtype):
    rng = np.random.default_rng(6)
    X, labels = data(PAIRINGS[0], rng)
    network = Network((P, 4, 3), f, PAIRINGS[0])
    F = objective_of(network, X.astype(dtype), labels)
    theta, v = rng.normal(size=(2, network.n_parameters))
    h, precision = (1e-5, 1e-6) if dtype == np.float64 else (1e-2, 2e-2)
    above, below = (F.value_and_gradient(theta + s * v)[0] for s in (h, -h))
    slope = F.value_and_gradient(theta)[1] @ v
    assert slope == pytest.approx((above - below) / (2 * h), rel=precision)
    assert F.hessian_product(theta, v).dtype == np.float64


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
@pytest.mark.parametrize("rows", [1, 7, N, 100])
@pytest.mark.parametrize("skip", [False, True])
def test_sum_over_blocks_does_not_depend_on_their_size(pairing, rows, skip):
    rng = np.random.default_rng(1)
    X, labels = data(pairing, rng)
    one, many = (
        objective(pairing, X, labels, skip=skip, rows=n_rows) for n_rows in (N, rows)
    )
    theta, v = rng.normal(size=(2, one.network.n_parameters))
    expected, gradient = one.value_and_gradient(theta)
    value, other = many.value_and_gradient(theta)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(other, gradient, atol=1e-14)
    np.testing.assert_allclose(
        many.hessian_product(theta, v), one.hessian_product(theta, v), atol=1e-13
    )


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
@pytest.mark.parametrize("skip", [False, True])
def test_sparse_equals_dense(container, skip):
    rng = np.random.default_rng(2)
    pairing = PAIRINGS[0]
    X, labels = data(pairing, rng)
    X[rng.random(X.shape) < 0.6] = 0
    dense = objective(pairing, X, labels, skip=skip, rows=8)
    thin = objective(pairing, container(X), labels, skip=skip, rows=8)
    theta, v = rng.normal(size=(2, dense.network.n_parameters))
    np.testing.assert_allclose(
        thin.value_and_gradient(theta)[1],
        dense.value_and_gradient(theta)[1],
        atol=1e-14,
    )
    np.testing.assert_allclose(
        thin.hessian_product(theta, v), dense.hessian_product(theta, v), atol=1e-13
    )


def random_csr(n, p, n_entries, rng):
    places = rng.integers(0, n, n_entries), rng.integers(0, p, n_entries)
    return sparse.csr_array((rng.normal(size=n_entries), places), shape=(n, p))


def in_copies(function, items):
    function, items = pickle.loads(pickle.dumps((function, items)))
    return [function(item) for item in items]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
def test_sums_over_columns_equal_those_over_rows(hidden, skip, dtype):
    rng = np.random.default_rng(8)
    n, p = 64, 300
    X = random_csr(n, p, 400, rng).astype(dtype)
    assert 0 in np.diff(X.tocsc().indptr)  # columns without entries
    labels, weights = rng.integers(0, 3, n), rng.uniform(0, 2, n)
    sizes = (p, *hidden, 3), HIDDEN_ACTIVATIONS["logistic"], PAIRINGS[0], skip
    options = {"weights": weights, "rows": 8}
    dense = objective_of(Network(*sizes), X.toarray(), labels, **options)
    network = Network(*sizes, inputs_first=True)
    with ThreadPoolExecutor(3) as pool:
        by_threads = partial(share_out, pool, 3)
        serially, in_threads, elsewhere = (
            objective_of(network, X, labels, run=run, **options)
            for run in (serial, by_threads, in_copies)
        )
        of_dense, order = dense.network.public_order, network.public_order
        theta, v = rng.normal(size=(2, network.n_parameters))
        same = np.empty((2, network.n_parameters))
        same[:, of_dense] = theta[order], v[order]
        tolerance = 1e-3 if dtype == np.float32 else 1e-12
        for kind, vectors in {"gradient": 1, "hessian": 2, "gauss_newton": 2}.items():
            sums = serially.rows.sums(kind, [theta, v][:vectors])
            expected = dense.rows.sums(kind, list(same[:vectors]))
            assert sums[0] == pytest.approx(expected[0], rel=tolerance)
            np.testing.assert_allclose(
                sums[1:][order], expected[1:][of_dense], rtol=tolerance, atol=tolerance
            )
            for other in (in_threads, elsewhere):
                np.testing.assert_array_equal(
                    other.rows.sums(kind, [theta, v][:vectors]), sums
                )
    assert serially.rows._columns is not None
    assert serially.mean_loss(theta) == pytest.approx(
        dense.mean_loss(same[0]), rel=tolerance
    )


@pytest.mark.parametrize("skip", [False, True])
def test_an_evaluation_of_sparse_rows_takes_few_vectors(skip):
    rng = np.random.default_rng(9)
    p, h = 20_000, 20
    X = random_csr(2000, p, 40_000, rng)
    network = Network(
        (p, h, 3), HIDDEN_ACTIVATIONS["tanh"], PAIRINGS[0], skip, inputs_first=True
    )
    F = objective_of(network, X, rng.integers(0, 3, 2000), rows=100)
    theta = rng.normal(size=network.n_parameters)
    F.value_and_gradient(theta)
    tracemalloc.start()
    F.value_and_gradient(theta)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * theta.nbytes  # one for each of 16 shares would be 16


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
@pytest.mark.parametrize("skip", [False, True])
def test_float32_blocks_are_computed_in_float32(pairing, skip):
    rng = np.random.default_rng(3)
    X, labels = data(pairing, rng)
    wide = objective(pairing, X, labels, skip=skip)
    narrow = objective(pairing, X.astype(np.float32), labels, skip=skip)
    theta = rng.normal(size=wide.network.n_parameters)
    value, gradient = narrow.value_and_gradient(theta)
    assert gradient.dtype == np.float64
    expected = wide.value_and_gradient(theta)
    assert value == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-5, atol=1e-5)
    # ... and not silently in float64
    assert not np.array_equal(gradient, expected[1])
    assert narrow.rows._workspaces[0].gradient.flat.dtype == np.float32


@pytest.mark.parametrize("skip", [False, True])
def test_the_l2_term_leaves_out_the_biases(skip):
    rng = np.random.default_rng(4)
    X, labels = data(PAIRINGS[0], rng)
    F = objective(PAIRINGS[0], X, labels, skip=skip)
    free = objective_of(F.network, X, labels, l2=0.0)
    theta = rng.normal(size=F.network.n_parameters)
    weights, biases = F.network.weights_and_biases(theta)
    difference = F.value_and_gradient(theta)[0] - free.value_and_gradient(theta)[0]
    weights.append(F.network.skip_weights(theta))
    assert difference == pytest.approx(0.005 * sum((W**2).sum() for W in weights))
    assert sum(b.size for b in biases) > 0


class Affine(HiddenActivation):
    """y = -0.3 + 1.7 tanh(-0.7 a)."""

    core, inner, outer, shift = HiddenTanh(), -0.7, 1.7, -0.3

    def apply(self, a):
        a[...] = self.shift + self.outer * np.tanh(self.inner * a)

    def derivative(self, y):
        g = (y - self.shift) / self.outer
        return self.inner * self.outer * (1 - g * g)


class Shifted(HiddenActivation):
    """max(a - shift, 0): this `shift` is a parameter, not that of an affine core."""

    def __init__(self, shift=0.3):
        self.shift = shift

    def apply(self, a):
        np.maximum(a - self.shift, 0, out=a)

    def derivative(self, y):
        return (y > 0).astype(y.dtype)


ACTIVATIONS = [*HIDDEN_ACTIVATIONS.values(), Affine(), Shifted()]


@pytest.mark.parametrize("f", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
def test_core_parameters_round_trip(f, hidden, skip):
    network = Network((P, *hidden, 3), f, PAIRINGS[0], skip)
    rng = np.random.default_rng(7)
    weights = [rng.normal(size=shape) for shape in network.weight_shapes]
    biases = [rng.normal(size=n) for n in network.layer_sizes[1:]]
    S = rng.normal(size=(3, P if skip else 0))
    theta = network.pack(weights, biases, S)
    np.testing.assert_array_equal(network.skip_weights(theta), S)
    for one, other in zip(
        chain(weights, biases), chain(*network.weights_and_biases(theta)), strict=True
    ):
        np.testing.assert_allclose(other, one, rtol=1e-14, atol=1e-15)
    assert all(np.shares_memory(A, theta) for A in network.unpack(theta))
    factors = network.l2_factors
    assert theta @ (factors * theta) == pytest.approx(
        sum((W**2).sum() for W in [*weights, S])
    )
    assert network.n_parameters == sum(a.size for a in [*weights, *biases, S])


@pytest.mark.parametrize("f", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
def test_the_core_network_has_the_logits_of_the_network(f, hidden, skip):
    network = Network((P, *hidden, 3), f, PAIRINGS[0], skip)
    rng = np.random.default_rng(8)
    X = rng.normal(size=(N, P))
    theta = rng.normal(size=network.n_parameters)
    weights, biases = network.weights_and_biases(theta)
    y = X.T
    for W, b in zip(weights, biases, strict=True):
        a = W @ y + b[:, np.newaxis]
        y = a.copy()
        f.apply(y)
    if skip:
        a += network.skip_weights(theta) @ X.T
    buffers = Workspace(network, float).buffers(N)
    z = network.forward(Layers(network, theta), X, buffers)
    np.testing.assert_allclose(z, a, rtol=1e-12, atol=1e-13)
    with_ones = np.column_stack([X, np.ones(N)])
    z = network.forward(Layers(network, theta), with_ones, buffers, has_ones=True)
    np.testing.assert_allclose(z, a, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("f", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
def test_largest_slope_is_that_in_weights_and_biases(f, hidden, skip):
    rng = np.random.default_rng(9)
    X, labels = data(PAIRINGS[0], rng)
    network = Network((P, *hidden, 3), f, PAIRINGS[0], skip)
    F = objective_of(network, X, labels)
    theta = rng.normal(size=F.network.n_parameters)
    S = F.network.skip_weights(theta).copy()
    parts = *F.network.weights_and_biases(theta), S
    slopes = []
    for part in [*chain(*parts[:2]), S]:
        for i in np.ndindex(part.shape):
            kept, values = part[i], []
            for shift in (1e-5, -1e-5):
                part[i] = kept + shift
                values.append(F.value_and_gradient(F.network.pack(*parts))[0])
            part[i] = kept
            slopes.append((values[0] - values[1]) / 2e-5)
    gradient = F.value_and_gradient(theta)[1]
    largest = F.network.largest_slope(gradient)
    assert largest == pytest.approx(np.abs(slopes).max(), rel=1e-6)
    # whatever the sign of the largest one
    assert F.network.largest_slope(-gradient) == largest


@pytest.mark.parametrize("n", [0, 1, 5, 6, 7])
def test_slices_cover_every_row_once(n):
    slices = row_slices(n, 3)
    assert [i for s in slices for i in range(n)[s]] == list(range(n))
    assert all(s.stop - s.start <= 3 for s in slices)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("multilabel", [False, True])
def test_merging_ignores_order_repetition_and_rows_without_weight(
    container, multilabel
):
    rng = np.random.default_rng(5)
    X, times = rng.integers(0, 3, (20, 2)).astype(float), rng.integers(0, 4, 20)
    labels = rng.integers(0, 2, (20, 2) if multilabel else 20)
    order = rng.permutation(20)
    merged = [
        merge_duplicates(Data(container(X[order]), labels[order], times[order])),
        merge_duplicates(
            Data(container(X.repeat(times, axis=0)), labels.repeat(times, axis=0))
        ),
    ]
    merged = [(data.X, data.codes, data.weights) for data in merged]
    dense = [
        (part[0].toarray() if sparse.issparse(part[0]) else part[0], *part[1:])
        for part in merged
    ]
    for one, other in zip(*dense, strict=True):
        np.testing.assert_array_equal(one, other)
    assert dense[0][2].sum() == times.sum()
    cases = np.column_stack([dense[0][0], dense[0][1]])
    assert len(np.unique(cases, axis=0)) == len(cases)


def test_many_rows_are_not_merged():
    X, labels = np.ones((10, 2)), np.zeros(10, dtype=int)
    same = merge_duplicates(Data(X, labels), max_rows=9)
    assert same.X is X
    assert same.codes is labels


@pytest.mark.parametrize("pairing", PAIRINGS, ids=label)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("skip", [False, True])
def test_executors_give_the_same_bits(pairing, dtype, skip, processes):
    """Serial, threads and processes: a sum over rows is a value."""
    rng = np.random.default_rng(10)
    X, labels = data(pairing, rng)
    X, weights = X.astype(dtype), rng.uniform(0, 2, N)
    network = Network((P, 4, 3, 3), HIDDEN_ACTIVATIONS["logistic"], pairing, skip)
    theta, v = rng.normal(size=(2, network.n_parameters))

    def results(run):
        F = objective_of(network, X, labels, weights, rows=4, run=run)
        for point in (v, theta):  # nothing is left over from the previous point
            value, gradient = F.value_and_gradient(point)
            products = [F.hessian_product(point, v, g) for g in (False, True)]
            last = [value, F.mean_loss(point), gradient, *products]
        return last

    expected = results(serial)
    with ThreadPoolExecutor(3) as threads:
        for run in (threads.map, processes.map):
            for one, other in zip(results(run), expected, strict=True):
                np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        yield pool


def test_an_overflow_in_a_process_shows_in_its_result(processes):
    rng = np.random.default_rng(11)
    X, labels = data(PAIRINGS[0], rng)
    network = Network((P, 3), HIDDEN_ACTIVATIONS["tanh"], PAIRINGS[0])
    F = objective_of(network, 1e300 * X, labels, rows=4, run=processes.map)
    with np.errstate(all="ignore"):
        value, _ = F.value_and_gradient(np.full(network.n_parameters, 1e10))
    assert not np.isfinite(value)


def test_several_threads_may_evaluate_one_objective():
    rng = np.random.default_rng(12)
    X, labels = data(PAIRINGS[0], rng)
    F = objective(PAIRINGS[0], X, labels, rows=4)
    thetas = rng.normal(size=(200, F.network.n_parameters))
    expected = [F.value_and_gradient(theta) for theta in thetas]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(F.value_and_gradient, thetas))
    for (value, gradient), (other, other_gradient) in zip(found, expected, strict=True):
        assert value == other
        np.testing.assert_array_equal(gradient, other_gradient)


@pytest.mark.parametrize("f", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize(("hidden", "skip"), LAYERS, ids=str)
@pytest.mark.parametrize("form", ["dense", "with ones", "sparse"])
def test_jacobian_of_the_logits_against_central_differences(f, hidden, skip, form):
    rng = np.random.default_rng(13)
    network = Network((P, *hidden, 3), f, PAIRINGS[0], skip)
    X = rng.normal(size=(7, P))
    given = {
        "dense": X,
        "with ones": np.column_stack([X, np.ones(7)]),
        "sparse": sparse.csr_array(X),
    }[form]
    buffers = Workspace(network, float).buffers(7)
    theta = rng.normal(size=network.n_parameters)

    weights, biases = network.weights_and_biases(theta)
    skip_coef = network.skip_weights(theta).T
    point = flat([W.T for W in weights], biases, skip_coef)

    def logits(p):
        theta = network.pack_coefs(*unflat(network, point + p))
        return network.forward(Layers(network, theta), X, buffers).T.copy()

    parameters, has_ones = Layers(network, theta), form == "with ones"
    found = network.jacobian(parameters, given, buffers, has_ones)
    h = 1e-6
    for k, e in enumerate(np.eye(network.n_parameters)):
        slope = (logits(h * e) - logits(-h * e)) / (2 * h)
        np.testing.assert_allclose(found[:, :, k], slope, rtol=1e-6, atol=1e-8)


def test_threads_build_the_blocks_of_shared_rows_once(monkeypatch):
    rng = np.random.default_rng(14)
    X, labels = data(PAIRINGS[0], rng)
    calls, build = [], LocalRows._new_shares
    monkeypatch.setattr(
        LocalRows, "_new_shares", lambda self: calls.append(0) or build(self)
    )
    F = objective(PAIRINGS[0], X, labels)
    start, thetas = Barrier(4), rng.normal(size=(4, F.network.n_parameters))

    def evaluate(theta):
        start.wait(timeout=60)
        return F.value_and_gradient(theta)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(evaluate, thetas))
    assert len(calls) == 1


def test_operations_of_heads_survive_pickling():
    operations = ArrayOperations(PAIRINGS[0].activation)
    z = np.ones((1, 2))
    for copied in (pickle.loads(pickle.dumps(operations)), deepcopy(operations)):
        np.testing.assert_array_equal(copied.probabilities(z), 1)
