"""The training problem: what solves it asks nothing of the rows but their protocol."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skce._fitting.fits import fit_from_starts
from skce._fitting.listeners import Listener
from skce._fitting.minimization import minimize
from skce._fitting.problem import Plan, Problem, Start
from skce._fitting.solvers import SOLVERS
from skce._inputs.labels import encode
from skce._network.data import Data
from skce._network.kernels import Network
from skce._network.rows import LocalRows, Rows
from skce.losses import get_hidden_activation, pair

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


class RowsElsewhere:
    """Rows with the members of the protocol and no others."""

    def __init__(self, rows):
        self._rows = rows
        self.n_rows, self.dtype, self.n_bytes = rows.n_rows, rows.dtype, np.inf
        self.total_weight, self.class_frequencies = 150.0, rows.class_frequencies
        self.sample, self.largest = rows.sample, rows.largest
        self.moments = rows.moments

    def sums(self, kind, vectors):
        return self._rows.sums(kind, vectors)

    def digest(self):
        return self._rows.digest()


def problem(wrap=lambda rows: rows):
    pairing = pair("softmax", "least_squares")
    labels, codes = encode(y, pairing.activation)
    network = Network((4, 3, 3), get_hidden_activation("logistic"), pairing)
    encoding = labels.encoding(pairing.activation)
    rows = LocalRows(network, Data(X, codes), encoding)
    return Problem(network, labels, wrap(rows), encoding, alpha=0.1)


def starts(network):
    random_state = np.random.RandomState(0)
    return [
        Start(
            random_state.uniform(-1, 1, network.n_parameters), random_state, grow=True
        )
        for _ in range(2)
    ]


def members(protocol):
    """Names that a protocol asks for."""
    methods = {name for name in vars(protocol) if name in ("sums", "digest")}
    return set(protocol.__annotations__) | methods


def test_the_stand_in_has_the_members_of_the_protocol_alone():
    stand_in = RowsElsewhere(problem().rows)
    public = {name for name in dir(stand_in) if not name.startswith("_")}
    assert public == members(Rows)


@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_elsewhere_are_fitted_by_every_solver(solver):
    here, elsewhere = problem(), problem(RowsElsewhere)
    plan = Plan(solver, tol=1e-3, max_iter=50, max_fun=5000)
    start = [Start(s.theta, s.random_state) for s in starts(here.network)]
    fits = [fit_from_starts(p, start, plan) for p in (here, elsewhere)]
    for one, other in zip(*(fit.outcomes for fit in fits), strict=True):
        np.testing.assert_array_equal(one.solution.theta, other.solution.theta)


def test_rows_that_cannot_be_copied_have_no_early_stages():
    elsewhere = problem(RowsElsewhere)
    plan = Plan("lbfgs", tol=1e-3, max_iter=50, max_fun=5000)
    fits = fit_from_starts(elsewhere, starts(elsewhere.network), plan)
    assert [len(outcome.stages) for outcome in fits.outcomes] == [1, 1]


class StopAt(Listener):
    """A user-defined listener."""

    def __init__(self, number):
        self.number = number
        self.losses = []

    def after(self, iteration):
        self.losses.append(iteration.loss)
        return iteration.number == self.number


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_listener_sees_each_iteration_and_can_stop(solver):
    listener, other = StopAt(3), StopAt(5)
    given = problem()
    theta = starts(given.network)[0].theta
    plan = Plan(solver, tol=0.0, max_iter=50, max_fun=5000)
    solution = minimize(given.objective(), theta, plan, (listener, None, other))
    assert solution.record["reason"] == "stopped"
    assert listener.losses == other.losses == solution.history["loss"]
    assert len(listener.losses) == 3
