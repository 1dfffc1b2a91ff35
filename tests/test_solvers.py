"""Solvers: optima, tolerances, limits, and what the warnings say."""

import warnings

import numpy as np
import pytest
from problems import plain
from scipy import optimize
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier
from skce._fitting.solvers import SOLVERS, Solver

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 1.0, "random_state": 0}
    return plain(**defaults | parameters)


def start_loss():
    """The objective at the start of `classifier()`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier(max_fun=1).fit(X, y).loss_


START_LOSS = start_loss()


@pytest.fixture(params=SOLVERS)
def solver(request):
    return request.param


def test_every_solver_reaches_the_same_optimum_without_hidden_units(solver):
    reference = classifier(hidden_layer_sizes=(), tol=1e-8).fit(X, y)
    other = classifier(hidden_layer_sizes=(), tol=1e-6, solver=solver).fit(X, y)
    np.testing.assert_allclose(other.coefs_[0], reference.coefs_[0], atol=1e-3)
    assert other.loss_ == pytest.approx(reference.loss_, rel=1e-8)


def test_a_fit_stops_where_the_gradient_is_below_tol_and_records_it(solver):
    fitted = classifier(solver=solver, tol=9e-5).fit(X, y)
    record = fitted.solver_result_
    assert record["success"]
    assert record["gradient_norm"] <= 9e-5
    assert fitted.n_iter_ == record["nit"] == len(fitted.loss_curve_)
    assert fitted.loss_curve_[-1] == fitted.loss_
    assert np.all(np.diff(fitted.loss_curve_) <= 1e-12)
    assert record["nfev"] > record["nit"]
    assert (record["nhev"] > 0) == SOLVERS[solver].uses_hessian


# the others are within tol sooner
@pytest.mark.parametrize("solver", ["lbfgs", "bfgs", "cg", "newton-cg"])
def test_a_plateau_ends_a_fit_and_tol_0_turns_it_off(solver):
    options = {"solver": solver, "alpha": 1e-4, "max_iter": 200, "max_fun": 10**5}
    fitted = classifier(**options).fit(X, y)
    record, losses = fitted.solver_result_, fitted.loss_curve_
    assert (record["reason"], record["success"]) == ("plateau", True)
    assert record["gradient_norm"] > fitted.tol
    # ten iterations lowered it by less than 0.4 %, and no ten before did
    falls = 1 - np.array(losses[10:]) / losses[:-10]
    assert falls[-1] < 0.004 < falls[:-1].min()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        further = classifier(**options | {"tol": 0}).fit(X, y)
    assert further.solver_result_["reason"] != "plateau"
    assert further.loss_ < fitted.loss_


def test_max_iter_is_respected_and_the_warning_names_the_remedy(solver):
    with pytest.warns(ConvergenceWarning, match="max_iter=2 iter.*raise max_iter"):
        fitted = classifier(solver=solver, max_iter=2, tol=1e-9).fit(X, y)
    assert fitted.n_iter_ == 2
    assert not fitted.solver_result_["success"]


def test_max_fun_is_respected_and_the_best_point_is_kept(solver):
    with pytest.warns(ConvergenceWarning, match="max_fun=7 evaluations.*max_fun"):
        fitted = classifier(solver=solver, max_fun=7, tol=1e-9).fit(X, y)
    record = fitted.solver_result_
    # L-BFGS-B counts after an iteration, the others are stopped within one
    assert record["nfev"] + record["nhev"] <= 7
    # the best point evaluated is kept
    assert fitted.loss_ <= START_LOSS
    assert fitted.loss_ == min([START_LOSS, *fitted.loss_curve_])


def test_the_warning_names_a_max_fun_too_small_for_one_iteration(solver):
    with pytest.warns(ConvergenceWarning, match="max_fun=1 evaluations"):
        fitted = classifier(solver=solver, max_fun=1).fit(X, y)
    assert fitted.loss_ == START_LOSS


def test_a_gradient_over_tol_is_never_reported_as_success(solver):
    with pytest.warns(ConvergenceWarning, match="gradient is .*tol=1e-15"):
        fitted = classifier(solver=solver, tol=1e-15, hidden_layer_sizes=()).fit(X, y)
    assert not fitted.solver_result_["success"]


def test_a_tighter_tol_gets_closer_to_the_optimum(solver):
    norms = [
        classifier(solver=solver, tol=tol).fit(X, y).solver_result_["gradient_norm"]
        for tol in (1e-2, 1e-5)
    ]
    assert norms[1] <= 1e-5 < norms[0]


def test_verbose_prints_one_line_per_iteration(capsys, solver):
    fitted = classifier(solver=solver, verbose=2).fit(X, y)
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == fitted.solver_result_["message"]
    assert len(lines) == fitted.n_iter_
    assert f"objective {fitted.loss_:.8g}" in lines[-1]


def test_verbose_1_prints_ever_fewer_iterations_and_the_last(capsys):
    fitted = classifier(verbose=True, max_iter=123, tol=0, alpha=1e-6)
    with pytest.warns(ConvergenceWarning, match="max_iter=123"):
        fitted.fit(X, y)
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == fitted.solver_result_["message"]
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == [*range(1, 10), *range(10, 101, 10), 123]
    assert f"objective {fitted.loss_:.8g}" in lines[-1]


def test_the_message_of_a_stop_is_not_about_exceptions(capsys, solver):
    fitted = classifier(solver=solver, verbose=50, early_stopping=True, alpha=0, tol=0)
    fitted.set_params(random_state=0, n_iter_no_change=1).fit(X, y)
    record = fitted.solver_result_
    assert record["reason"] == "stopped"
    assert "early stopping" in record["message"]
    printed = capsys.readouterr().out + record["message"]
    assert not any(text in printed for text in ("StopIteration", "callback`", "HALT"))


def test_the_best_loss_is_the_lowest_of_the_curve(solver):
    fitted = classifier(solver=solver).fit(X, y)
    assert fitted.best_loss_ == min(fitted.loss_curve_) <= fitted.loss_
    assert classifier(early_stopping=True).fit(X, y).best_loss_ is None


def test_quiet_by_default(capsys):
    classifier().fit(X, y)
    assert capsys.readouterr() == ("", "")


def test_a_stationary_start_takes_no_iteration():
    first = classifier(tol=1e-6).fit(X, y)
    again = classifier(warm_start=True, tol=1e-5)
    again.fit(X, y)
    again.coefs_, again.intercepts_ = first.coefs_, first.intercepts_
    again.fit(X, y)
    assert again.n_iter_ == 0
    assert again.solver_result_["success"]
    assert again.loss_ == pytest.approx(first.loss_, rel=1e-14)


def test_a_random_start_without_slope_is_not_reported_as_an_optimum():
    far = plain(
        "softmax",
        "least_squares",
        hidden_layer_sizes=5,
        hidden_activation="relu",
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="has (changed|learned) nothing"):
        far.fit((X + 5) * 1e9, y)


def test_a_stop_by_rounding_far_from_a_minimum_warns():
    with pytest.warns(ConvergenceWarning, match="rounding.*standardize=True"):
        plain("identity", hidden_layer_sizes=()).fit(X * 1e30, y)


def test_a_breakdown_of_the_solver_keeps_the_last_point_and_suggests_others(
    monkeypatch,
):
    # as trust-krylov does on a singular Hessian, once its Krylov space is exhausted
    def broken(value, theta, *, hessp, callback, **options):
        callback(optimize.OptimizeResult(x=theta - 0.1 * options["jac"](theta)))
        hessp(theta, np.full_like(theta, np.nan))

    monkeypatch.setattr("skce._fitting.solvers.optimize.minimize", broken)
    fit = classifier(hidden_layer_sizes=(), alpha=0, solver="trust-krylov")
    with pytest.warns(ConvergenceWarning, match="singular: raise alpha, or.*newton-cg"):
        fit.fit(X, y)
    assert fit.solver_result_["status"] == -1
    assert not fit.solver_result_["success"]
    assert fit.loss_ == fit.loss_curve_[-1] < np.log(3)


class GradientDescent(Solver):
    """A user-defined solver that is not SciPy's, and never stops by itself."""

    def run(self, monitor, theta, callback, plan):
        while True:
            value, gradient = monitor.evaluate(theta)
            step = 1.0
            while monitor.evaluate(theta - step * gradient)[0] >= value:
                step /= 2
            theta = theta - step * gradient
            callback(theta)


def test_a_user_defined_solver_keeps_the_limits(monkeypatch):
    monkeypatch.setitem(SOLVERS, "descent", GradientDescent("descent"))
    fitted = classifier(solver="descent", tol=1e-2).fit(X, y)
    assert fitted.solver_result_["reason"] == "tolerance"
    assert fitted.history_["gradient_norm"][-1] <= 1e-2
    with pytest.warns(ConvergenceWarning, match="max_iter=5"):
        fitted.set_params(max_iter=5, tol=1e-9).fit(X, y)
    assert fitted.n_iter_ == 5
    with pytest.warns(ConvergenceWarning, match="max_fun=7"):
        fitted.set_params(max_iter=100, max_fun=7).fit(X, y)
    assert fitted.solver_result_["nfev"] == 7
    stopped = classifier(solver="descent", tol=0, alpha=0, early_stopping=True)
    stopped.fit(X, y)
    assert stopped.solver_result_["reason"] == "stopped"


class InPlace(GradientDescent):
    """A user-defined solver that overwrites the array it was given."""

    def run(self, monitor, theta, callback, plan):
        for _ in range(3):
            theta += 0.5 * monitor.evaluate(theta)[1]
            monitor.evaluate(theta)
            callback(theta)
        raise StopIteration("of its own")


def test_a_solver_that_works_in_place_does_not_change_the_start(monkeypatch):
    monkeypatch.setitem(SOLVERS, "in place", InPlace("in place"))
    clf = classifier(hidden_layer_sizes=(), solver="in place", early_stopping=True)
    with pytest.raises(StopIteration, match="of its own"):
        clf.fit(X, y)
    clf.set_params(max_iter=2)
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        clf.fit(X, y, X_val=X, y_val=y)
    # the first step away from the random start is kept as it was before the second
    assert clf.n_iter_ == 2
    assert clf.best_validation_score_ == max(clf.validation_scores_) < -np.log(3)
    kept = -log_loss(y, clf.predict_proba(X))
    assert clf.best_validation_score_ == pytest.approx(kept)
    start = {"coefs_init": [np.zeros((4, 3))], "intercepts_init": [np.zeros(3)]}
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        clf.fit(X, y, X_val=X, y_val=y, **start)
    assert clf.best_validation_score_ == pytest.approx(-np.log(3))
    assert not clf.coefs_[0].any()


class Silent(Solver):
    """A user-defined solver, gradient descent, that never calls back."""

    def run(self, monitor, theta, callback, plan):
        for _ in range(50):
            theta = theta - 0.5 * monitor.evaluate(theta)[1]
        return optimize.OptimizeResult(x=theta, status=0, message="done", success=True)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_solver_that_never_calls_back_is_not_thrown_away(early_stopping, monkeypatch):
    monkeypatch.setitem(SOLVERS, "silent", Silent("silent"))
    X, y = load_iris(return_X_y=True)
    clf = PairedMLPClassifier(
        solver="silent", early_stopping=early_stopping, random_state=0
    ).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert clf.n_iter_ == len(clf.loss_curve_) == 1
