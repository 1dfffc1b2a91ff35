"""scikit-learn's callbacks, and what a fit records of its iterations."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from problems import plain
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce._fitting.solvers import SOLVERS

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ScoringMonitor = None

needs_callbacks = pytest.mark.skipif(
    ScoringMonitor is None, reason="needs scikit-learn 1.9"
)
RAW, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(RAW)


def classifier(**params):
    params = {"hidden_layer_sizes": 3, "alpha": 0.1, "random_state": 0} | params
    return plain(**params)


class Recorder:
    """Records its calls, and requests a stop at the end of one task."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.open, self.ended, self.losses = [], [], []
        self.n_setups = self.n_teardowns = 0

    def setup(self, estimator, context):
        self.n_setups += 1

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        self.open.append(context)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator
    ):
        self.open.remove(context)
        self.ended.append(context.task_name)
        if fitted_estimator is not None and context.task_name == "iteration":
            p = fitted_estimator.predict_proba(X)
            weights = (metadata or {}).get("sample_weight")
            own = p[np.arange(len(y)), np.searchsorted(fitted_estimator.classes_, y)]
            self.losses.append(np.average(-np.log(own), weights=weights))
        n = self.ended.count(context.task_name)
        return (context.task_name, n) == self.stop_at


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
def test_callbacks_are_called_every_iteration_and_change_nothing(solver):
    recorder = Recorder()
    plain = classifier(solver=solver, alpha=1e-9, max_iter=40, tol=1e-2).fit(X, Y)
    clf = classifier(solver=solver, alpha=1e-9, max_iter=40, tol=1e-2)
    clf.set_callbacks(recorder).fit(X, Y)
    np.testing.assert_array_equal(clf.coefs_[0], plain.coefs_[0])
    assert recorder.n_setups == recorder.n_teardowns == 1
    assert recorder.open == []
    assert recorder.ended[-1] == "fit"
    np.testing.assert_allclose(recorder.losses, clf.loss_curve_, rtol=1e-6)


@needs_callbacks
def test_callbacks_see_networks_for_x_as_it_is():
    recorder = Recorder()
    clf = classifier(standardize=True, alpha=1e-9, max_iter=40, tol=1e-2)
    clf.set_callbacks(recorder).fit(RAW, Y)
    np.testing.assert_allclose(recorder.losses, clf.loss_curve_, rtol=1e-6)


class Predictor:
    """Keeps what it is handed, and predicts at the end of each task."""

    def __init__(self):
        self.handed, self.scores = {}, []

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        fitted_estimator.predict_proba(X)  # warns of feature names of another fit
        self.handed[context.task_name] = set(vars(fitted_estimator))
        if context.task_name == "fit":
            own = estimator.score(X, y), fitted_estimator.score(X, y)
            self.scores.append(own)


@needs_callbacks
@pytest.mark.parametrize("moderated", [False, True])
def test_callbacks_see_the_fit_at_hand_and_nothing_of_the_one_before(moderated):
    predictor = Predictor()
    clf = classifier(moderated=moderated).set_callbacks(predictor)
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))
    scores = []
    for rows, y in [(frame, Y), (X[:, :2], (Y + 1) % 3), (frame[["b", "c"]], Y)]:
        clf.fit(rows, y)
        scores.append(clf.score(rows, y))
        names = {"feature_names_in_"} if hasattr(rows, "iloc") else set()
        for handed in predictor.handed.values():
            assert handed & {"feature_names_in_"} == names
        # of a fit that has not ended there is no record
        assert "loss_" not in predictor.handed["iteration"]
        assert predictor.handed["fit"] >= {"loss_", "n_iter_", "history_"}
    assert predictor.scores == [(score, score) for score in scores]


@needs_callbacks
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_callback_can_stop_a_fit(solver, early_stopping):
    clf = classifier(solver=solver, tol=1e-9, early_stopping=early_stopping)
    clf.set_callbacks(Recorder(stop_at=("iteration", 2))).fit(X, Y)  # no warning
    assert clf.n_iter_ == 2
    assert clf.solver_result_["reason"] == "stopped"
    assert not clf.solver_result_["success"]


@needs_callbacks
def test_several_starts_are_tasks_and_can_be_stopped():
    recorder = Recorder()
    clf = classifier(n_init=3).set_callbacks(recorder).fit(X, Y)
    assert recorder.ended.count("start") == 3
    assert len(clf.init_losses_) == 3
    alone = classifier(n_init=3).fit(X, Y)
    np.testing.assert_array_equal(clf.init_losses_, alone.init_losses_)
    clf.set_callbacks(Recorder(stop_at=("start", 2))).fit(X, Y)
    np.testing.assert_array_equal(np.isnan(clf.init_losses_), [False, False, True])


@needs_callbacks
@pytest.mark.parametrize("stop_at", [None, ("iteration", 3), ("stage", 1)])
@pytest.mark.parametrize("growing", [True, "minibatches"])
def test_early_stages_are_tasks(growing, stop_at):
    recorder = Recorder(stop_at)
    clf = classifier(growing_sample=growing).set_callbacks(recorder).fit(X, Y)
    assert recorder.open == []
    assert recorder.ended.count("stage") == len(clf.stages_) - 1
    if stop_at is not None:
        assert clf.n_iter_ == 0
        assert clf.solver_result_["reason"] == "stopped"
        assert len(clf.stages_) == 2


@needs_callbacks
def test_callbacks_work_in_pipelines_and_searches():
    monitor = ScoringMonitor(scoring="neg_log_loss")
    pipeline = make_pipeline(StandardScaler(), classifier().set_callbacks(monitor))
    pipeline.fit(X, Y)
    rows = monitor.get_logs().data
    scores = [row["neg_log_loss"] for row in rows if row["task_name"] == "iteration"]
    assert len(scores) == pipeline[-1].n_iter_
    assert scores[-1] > scores[0]

    monitor = ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(classifier(), {"alpha": [0.1, 1]}, cv=3)
    if hasattr(search, "set_callbacks"):
        search.estimator.set_callbacks(monitor)
    search.fit(X, Y, sample_weight=np.ones(len(X)))
    assert search.best_estimator_.score(X, Y) > 0.9
    assert len(monitor.get_logs(select="all")) >= 1


class StopAfterTwo:
    """Stateless, so that it can be copied to other processes."""

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "iteration" and context.task_id == 1


def two_iterations(estimator, X, y):
    return float(estimator[-1].n_iter_ == 2)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_callback_can_stop_the_fits_of_a_search_over_a_pipeline(n_jobs):
    pipeline = make_pipeline(StandardScaler(), classifier(tol=1e-9))
    pipeline[-1].set_callbacks(StopAfterTwo())
    grid = {"pairedmlpclassifier__alpha": [0.1, 1]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring=two_iterations, n_jobs=n_jobs)
    search.fit(X, Y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], 1)
    assert search.best_estimator_[-1].n_iter_ == 2


@needs_callbacks
@pytest.mark.parametrize("wrap", [lambda clf: clf, make_pipeline], ids=["", "pipeline"])
def test_progress_bar_shows_the_fit_and_its_starts(wrap):
    pytest.importorskip("rich")
    screen = io.StringIO()
    model = wrap(classifier(n_init=2))
    with redirect_stdout(screen):
        model.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, Y)
    assert "PairedMLPClassifier - fit" in screen.getvalue()
    assert "start" in screen.getvalue()


@needs_callbacks
def test_a_failed_fit_tears_down_callbacks_and_keeps_the_estimator():
    recorder = Recorder()
    clf = classifier().set_callbacks(recorder).fit(X, Y)
    before = dict(vars(clf))
    for bad in ({"X": np.full_like(X, np.nan)}, {"sample_weight": -np.ones(len(X))}):
        with pytest.raises(ValueError, match=r"NaN|negative"):
            clf.fit(**{"X": X, "y": Y} | bad)
    assert vars(clf) == before
    assert recorder.n_setups == recorder.n_teardowns == 3


@needs_callbacks
def test_callbacks_work_with_soft_targets():
    monitor, recorder = ScoringMonitor(scoring="accuracy"), Recorder()
    targets = np.eye(3)[Y] * 0.7 + 0.1
    recorder.on_fit_task_end = lambda estimator, context: recorder.ended.append(0)
    clf = classifier().set_callbacks(monitor, recorder).fit_targets(X, targets)
    assert len(recorder.ended) == clf.n_iter_ + 1


@pytest.mark.skipif(ScoringMonitor is not None, reason="before scikit-learn 1.9")
def test_callbacks_are_refused_before_scikit_learn_1_9():
    with pytest.raises(NotImplementedError, match=r"1\.9"):
        classifier().set_callbacks(Recorder())


@pytest.mark.parametrize("solver", SOLVERS)
def test_history_has_one_entry_per_iteration(solver):
    clf = classifier(solver=solver, max_iter=1000, tol=9e-5).fit(X, Y)
    history = clf.history_
    assert {len(column) for column in history.values()} == {clf.n_iter_}
    record = clf.solver_result_
    assert history["loss"][-1] == clf.loss_
    assert history["gradient_norm"][-1] == record["gradient_norm"] <= clf.tol
    assert history["evaluations"][-1] <= record["nfev"] + record["nhev"]
    for name in ("evaluations", "seconds"):
        assert np.all(np.diff(history[name]) > 0)
    assert 0 < history["seconds"][-1] <= record["seconds"]
