"""What the estimators share: parameters, and the implementation of `fit`.

Estimators differ only in where their rows are, that is in how they make a `Problem`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skce._fitting.callbacks import CallbackSupportMixin, begin_fit, with_callbacks
from skce._fitting.checkpoint import resumable, stored_starts
from skce._fitting.committee import committee_of
from skce._fitting.fits import (
    BrokenFitError,
    Fits,
    Outcome,
    fit_from_starts,
    learned_nothing,
    max_subtasks,
)
from skce._fitting.listeners import Interrupt
from skce._fitting.memory import check_memory
from skce._fitting.minibatches import suits_batches
from skce._fitting.monitor import NonFiniteObjectiveError
from skce._fitting.parameters import check_parameters
from skce._fitting.problem import MIN_GROWING_ROWS, Plan
from skce._fitting.stages import Stage
from skce._fitting.starts import (
    given_starts,
    new_starts,
    warn_of_scale,
    warn_of_validation_scale,
)
from skce._fitting.stopping import ValidationWatch, negative_loss, score_of
from skce._inputs.labels import warn_of_order
from skce._inputs.validation import check_layer_sizes
from skce._network.executors import QUIET, with_workers
from skce._network.kernels import Network
from skce._network.logits import NOT_FINITE
from skce._network.objective import Objective
from skce._network.rows import LocalRows
from skce._network.standardization import Standardization
from skce._support.callers import within_another_fit
from skce._support.copies import shallow_copy
from skce._support.documentation import link_template
from skce._support.warn import warn
from skce.losses._base import Named
from skce.losses._status import takes_multilabel
from skce.losses.activations import Activation, get_activation
from skce.losses.hidden import HiddenActivation, get_hidden_activation
from skce.losses.pairings import (
    DegeneratePairingWarning,
    check_shapes,
    pair,
    pairing_status,
    why_degenerate,
)
from skce.losses.penalties import Penalty
from skce.prediction import Predictions
from skce.uncertainty._curvature import flat
from skce.uncertainty._laplace import posterior_covariance

__all__ = ["BasePairedMLP", "replaced_when_whole"]


PARAMETERS = "coefs_", "intercepts_", "skip_coef_"

# Attributes that `_keep_record` sets
RECORD = (
    "loss_",
    "history_",
    "loss_curve_",
    "n_iter_",
    "solver_result_",
    "stages_",
    "init_losses_",
    "validation_scores_",
    "best_validation_score_",
    "best_loss_",
)

# Of larger values a standardisation is lost to overflow or rounding
MAX_STANDARDIZABLE = 1e12

ClassWeight: TypeAlias = (
    str | Mapping[Any, float] | Sequence[Mapping[Any, float]] | None
)


class BasePairedMLP(CallbackSupportMixin, Predictions, ClassifierMixin, BaseEstimator):
    """Base class of the estimators: parameters and the implementation of `fit`.

    Subclasses define `_problem(given, executor, random_state)`.
    """

    # Set by fit; described in the subclasses
    loss_: float
    loss_curve_: list[float]
    history_: dict[str, list[float]]
    n_iter_: int
    stages_: list[Stage]
    solver_result_: dict[str, Any]
    init_losses_: NDArray[np.float64]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    best_loss_: float | None
    thresholds_: NDArray[Any] | None
    n_layers_: int
    out_activation_: str
    _standardization: Standardization | None = None

    # Parameters that a resumed fit may change. (A scorer is compared by its scores: if
    # they differ, so do the evaluations, which is an error.)
    _ignored_by_checkpoint: tuple[str, ...] = (
        "average_starts",
        "moderated",
        "n_jobs",
        "scoring",
        "verbose",
        "warm_start",
    )

    def __init__(
        self,
        activation: str | Activation = "softmax",
        penalty: str | Penalty = "natural",
        *,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        hidden_activation: str | HiddenActivation = "relu",
        skip_layer: bool = False,
        alpha: float = 2.0,
        class_weight: ClassWeight = None,
        label_smoothing: float = 0.0,
        solver: str = "lbfgs",
        max_iter: int = 1000,
        max_fun: int = 15000,
        tol: float = 1e-4,
        standardize: bool = True,
        init: str = "glorot",
        n_init: int = 1,
        average_starts: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        scoring: str | Callable[..., float] = "penalty",
        moderated: bool = False,
        random_state: int | np.random.RandomState | None = None,
        growing_sample: bool | str = "auto",
        warm_start: bool = False,
        n_jobs: int | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.activation = activation
        self.penalty = penalty
        self.hidden_layer_sizes = hidden_layer_sizes
        self.hidden_activation = hidden_activation
        self.skip_layer = skip_layer
        self.alpha = alpha
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.solver = solver
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.standardize = standardize
        self.init = init
        self.n_init = n_init
        self.average_starts = average_starts
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.moderated = moderated
        self.random_state = random_state
        self.growing_sample = growing_sample
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose

    # In errors about its arguments
    __init__.__qualname__ = "PairedMLPClassifier.__init__"

    # Of the HTML repr
    _doc_link_module = "skce"
    _doc_link_template = property(lambda self: link_template())

    def __setstate__(self, state):
        """Give parameters unknown to the version that stored it their defaults."""
        parameters = signature(type(self)).parameters.values()
        has_default = [p for p in parameters if p.default is not p.empty]
        defaults = {p.name: p.default for p in has_default}
        if "coefs_" in state:
            defaults |= {"skip_coef_": None, "member_parameters_": None}
        super().__setstate__(defaults | state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        try:
            multilabel = takes_multilabel(self.activation, self.penalty)
            poor = pairing_status(self.activation, self.penalty) == "degenerate"
            # one direction for all classes does not separate those in no order
            linear = not check_layer_sizes(self.hidden_layer_sizes)
            poor |= linear and get_activation(self.activation).ordered
        except (ValueError, NotImplementedError):  # fit will say what is wrong
            return tags
        tags.classifier_tags.multi_label = multilabel
        tags.classifier_tags.poor_score = poor
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of an activation or penalty are set on a copy of it.

        So neither the object that was passed nor a fitted model changes.

        Parameters
        ----------
        **params : dict
            "penalty__q" is the parameter q of `penalty`.

        Returns
        -------
        self : estimator
        """
        for name in {key.partition("__")[0] for key in params if "__" in key}:
            nested = params.get(name, getattr(self, name, None))
            if isinstance(nested, Named):
                params = params | {name: clone(nested, safe=False)}
            elif name in ("activation", "penalty", "hidden_activation"):
                raise ValueError(
                    f"{name}={nested!r} has no parameters that {name}__... could set: "
                    "pass an instance, such as penalty=GeneralizedCrossEntropy(q=0.7)."
                )
        return super().set_params(**params)

    def members(self) -> list[Self]:
        """Return the networks whose probabilities are averaged, as classifiers.

        Returns
        -------
        members : list of PairedMLPClassifier
            With `average_starts`, the best one first; otherwise a single one. Their
            parameters are views of `member_parameters_`. They have no record of the
            fit, such as `loss_`.

        Examples
        --------
        The probabilities of each member, and by how much they differ:

        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skce import PairedMLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = PairedMLPClassifier(
        ...     hidden_layer_sizes=3, alpha=0.1, n_init=10, average_starts=True,
        ...     random_state=0).fit(X, y)
        >>> p = np.array([member.predict_proba(X) for member in clf.members()])
        >>> np.allclose(p.mean(axis=0), clf.predict_proba(X))
        True
        >>> p.std(axis=0).shape
        (150, 3)
        """
        check_is_fitted(self)
        members = []
        for parameters in self._members(self._checked_network):
            member = shallow_copy(self)
            for name in RECORD:
                vars(member).pop(name, None)
            vars(member).update(zip(PARAMETERS, parameters, strict=True))
            biases = member.intercepts_[-1]
            member.thresholds_ = self.pairing_.activation.thresholds(biases)
            member.member_parameters_ = None
            members.append(member.set_params(n_init=1, average_starts=False))
        return members

    def _problem(self, given, executor, random_state):
        """Make the Problem of what `fit` was given; set `n_features_in_`."""
        raise NotImplementedError

    @with_callbacks
    def _fit(self, given, checkpoint):
        """Fit the estimator, once the fit is whole, and return the Fits."""
        check_parameters(self)
        if self.average_starts and self.n_init == 1:
            warn(
                "average_starts=True averages over n_init=1 start, which changes "
                "nothing: raise n_init, or set average_starts=False.",
                UserWarning,
            )
        context = None
        if hasattr(self, "_init_callback_context"):  # from scikit-learn 1.9 on
            context = self._init_callback_context(
                max_subtasks=max_subtasks(self.max_iter, self.n_init)
            )
        # callbacks know an estimator by its identity
        event_data = {"estimator": self, **given.event_data}
        with np.errstate(**QUIET), replaced_when_whole(self) as fitted:
            fits, task = fitted._solve(given, checkpoint, context, event_data)
        if task is not None:
            task.end_fit()
        return fits

    def _solve(self, given, checkpoint, context, event_data):
        """Solve the problem, and set the fitted attributes of a copy.

        The estimator itself is still that of the previous fit, or not fitted.

        Returns
        -------
        fits : Fits
        task : FitTask or None
            Of the whole fit, which has not ended.
        """
        random_state = check_random_state(self.random_state)
        plan = Plan.of(self)
        if checkpoint is not None:  # the order of evaluations is that of the file
            plan = replace(plan, sequential_starts=True)
        problem = self._problem(given, plan.executor, random_state)
        check_memory(problem.network, problem.rows, self.solver, self.n_init)
        pairing = problem.network.pairing
        if pairing.status == "degenerate":
            warn(why_degenerate(pairing), DegeneratePairingWarning)
        # the watch needs the network and labels of the problem
        problem = replace(problem, new_watch=self._watch_maker(problem, plan))
        if given.validation[0] is not None:
            warn_of_validation_scale(problem)
        grow = self._grows(problem)
        first = given_starts(self, problem, given.start, random_state)
        if checkpoint is not None and self.warm_start and given.start[0] is None:
            # the fit before may have been this one, which was interrupted
            first = stored_starts(checkpoint, problem.network, first)
        starts = new_starts(self, problem, first, grow, random_state)
        first_start = starts[0]
        badly_scaled = not first_start.given and warn_of_scale(
            self, problem, first_start.theta
        )
        interrupt = Interrupt()
        task = begin_fit(context, event_data, partial(self._fitted_at, problem))
        try:
            with resumable(checkpoint, self, problem, starts, interrupt) as logged:
                fits = fit_from_starts(logged, starts, plan, task, interrupt)
        except NonFiniteObjectiveError as error:
            raise self._broken_fit(error, problem) from error
        theta, advice = fits.best.solution.theta, fits.advice(problem)
        # if the rows are lost, the caller raises an error instead
        if advice is not None and fits.interrupt.lost is None:
            warn(f"{pairing}: {self.solver} {advice}.", ConvergenceWarning)
        vars(self).update(_fitted_parameters(problem, theta))
        if self.average_starts:
            advice = self._average(fits, problem)
            if advice is not None and fits.interrupt.lost is None:
                text = f"{pairing}: average_starts=True {advice}."
                warn(text, ConvergenceWarning)
        self._keep_record(fits, problem, badly_scaled)
        if self.moderated:  # last, so that Ctrl-C loses nothing else
            self._moderate(problem, theta)
        return fits, task

    def _architecture(self):
        """Return the pairing, and a function that makes a Network.

        Its arguments are the number of features, the Labels, a function for the
        weighted mean targets of the training rows, and `inputs_first`. Unknown
        activations, undefined pairs and invalid layer sizes raise here, before any row
        is read.
        """
        pairing = pair(self.activation, self.penalty)
        penalty = self.penalty
        hidden_activation = get_hidden_activation(self.hidden_activation)
        hidden_sizes = check_layer_sizes(self.hidden_layer_sizes)

        def network_for(n_features, labels, class_frequencies, inputs_first=False):
            if labels.multilabel and not takes_multilabel(pairing.activation, penalty):
                raise ValueError(
                    f"y is multilabel, but penalty={penalty!r} compares the classes of "
                    "a row, as they exclude each other: take another one, such as "
                    "penalty='natural'."
                )
            loss = pairing.penalty
            if self.label_smoothing and loss is not None and not loss.takes_smoothing:
                raise ValueError(
                    f"label_smoothing={self.label_smoothing!r} makes every class of a "
                    f"row possible, so that {type(loss).__name__} would learn nothing: "
                    "set it to 0."
                )
            if loss is not None and labels.n_outputs < loss.min_outputs:
                raise ValueError(
                    f"{pairing} has a single output for the two classes of y, and "
                    f"{loss!r} compares several: take activation='softmax'."
                )
            warn_of_order(labels.classes, labels.order, [pairing.activation])
            fitted = pairing.for_frequencies(class_frequencies)
            fitted = fitted.for_classes(labels.classes, labels.order)
            check_shapes(fitted, labels.n_outputs)
            sizes = (n_features, *hidden_sizes, labels.n_outputs)
            return Network(
                sizes, hidden_activation, fitted, self.skip_layer, inputs_first
            )

        return pairing, network_for

    def _grows(self, problem):
        """Return how to begin; see `Start.grow`."""
        if self.growing_sample != "auto":
            return self.growing_sample
        if problem.rows.n_rows < MIN_GROWING_ROWS:
            return False
        return "minibatches" if suits_batches(problem) else True

    def _watch_maker(self, problem, plan):
        """Return the function that makes the ValidationWatch of one start, or None."""
        held_out = problem.validation
        if held_out is None:
            return None

        def watch(score):
            return ValidationWatch(score, self.n_iter_no_change, self.scoring)

        if isinstance(self.scoring, str) and self.scoring == "penalty":
            data, network = held_out.for_loss(), problem.network
            # in the dtype of the fit, whatever that of X_val
            data = replace(data, X=data.X.astype(problem.rows.dtype, copy=False))
            rows = LocalRows(network, data, problem.encoding, plan.executor)
            objective = Objective(
                network, rows, standardization=problem.standardization
            )
            loss = negative_loss(objective)
            return lambda: watch(loss)
        scorer = check_scoring(self, self.scoring)
        attributes_at = partial(_fitted_parameters, problem)
        rows = held_out.for_scorer(problem.labels)
        # one for each start, as it has a fitted copy of the estimator
        return lambda: watch(score_of(scorer, self, attributes_at, rows))

    def _fitted_at(self, problem, theta):
        """Return a clone that is fitted with some parameters, without a record."""
        fitted = clone(self)
        names = ("n_features_in_", "feature_names_in_")
        vars(fitted).update(
            {name: getattr(self, name) for name in names if hasattr(self, name)}
        )
        vars(fitted).update(_fitted_parameters(problem, theta))
        return fitted

    def _broken_fit(self, error, problem):
        """Return the error of a fit whose objective overflowed."""
        best, kept = None, "no iteration had ended"
        if error.solution is not None:
            best = self._fitted_at(problem, error.solution.theta)
            fits = Fits([Outcome(None, error.solution, error.stages)])
            best._keep_record(fits, problem)
            kept = "the error's attribute best is fitted with the last good weights"
        rows = problem.rows
        if not np.isfinite(rows.largest):
            advice = NOT_FINITE
        else:
            if problem.standardization is None:
                remedy = "set standardize=True, or raise alpha"
            elif rows.largest > MAX_STANDARDIZABLE:
                remedy = "divide its large columns by a constant"
            else:
                remedy = "raise alpha"
            advice = (
                f"X reaches {rows.largest:.3g} in absolute value, as {rows.dtype}: "
                f"{remedy}; of a user-defined penalty or activation, look at its "
                "domain or range."
            )
        return BrokenFitError(
            f"The fit broke off: {error}. {advice} This estimator is as it was; "
            f"{kept}.",
            best,
        )

    def _average(self, fits, problem):
        """Set the parameters of the starts that are averaged; return advice or None."""
        committee = committee_of(fits, problem)
        shape = len(committee.members), problem.network.n_parameters
        parameters = np.empty(shape, dtype=problem.rows.dtype)
        for row, outcome in zip(parameters, committee.members, strict=True):
            fitted = _fitted_parameters(problem, outcome.solution.theta)
            row[:] = flat(*(fitted[name] for name in PARAMETERS))
        self.member_parameters_ = parameters
        return committee.advice

    def _moderate(self, problem, theta):
        """Set the covariance of the parameters; Ctrl-C leaves the fit without it."""
        try:
            self.posterior_covariance_ = with_workers(
                problem.work,
                self.n_jobs,
                lambda run: posterior_covariance(problem, theta, run),
            )
        except KeyboardInterrupt:
            if within_another_fit():
                raise
            warn(
                "The fit is complete, but Ctrl-C interrupted the covariance that "
                "moderated=True needs: probabilities are not moderated.",
                ConvergenceWarning,
            )

    def _keep_record(self, fits, problem, badly_scaled=False):
        """Set the attributes that describe how the fit went."""
        best = fits.best
        self.loss_ = best.solution.value
        self.history_ = best.solution.history
        self.loss_curve_ = self.history_["loss"]
        self.n_iter_ = best.solution.record["nit"]
        self.solver_result_ = best.solution.record | {
            "solver": self.solver,
            "tol": float(self.tol),
            "alpha": float(self.alpha),
            "learned": not learned_nothing(problem, best.solution),
            "badly_scaled": badly_scaled,
        }
        self.stages_ = best.stages
        self.init_losses_ = np.array([outcome.loss for outcome in fits.outcomes])
        watch = best.watch
        self.validation_scores_ = None if watch is None else watch.scores
        self.best_validation_score_ = None if watch is None else watch.best_score
        self.best_loss_ = min([self.loss_, *self.loss_curve_]) if not watch else None


def _fitted_parameters(problem, theta):
    """Return the fitted attributes that predictions need, by name."""
    network, labels, dtype = problem.network, problem.labels, problem.rows.dtype
    theta = problem.for_rows(theta)
    weights, biases = network.weights_and_biases(theta)
    skip = network.skip_weights(theta)
    thresholds = network.pairing.activation.thresholds(biases[-1])
    skip_coef = np.array(skip.T, dtype=dtype, order="C")
    return {
        "coefs_": [np.ascontiguousarray(W.T, dtype=dtype) for W in weights],
        "intercepts_": [b.astype(dtype) for b in biases],
        "skip_coef_": skip_coef if network.skip_layer else None,
        "thresholds_": None if thresholds is None else thresholds.astype(dtype),
        "classes_": labels.classes,
        "pairing_": network.pairing,
        "n_layers_": len(network.layer_sizes),
        "n_outputs_": network.n_outputs,
        "out_activation_": network.pairing.activation.name,
        "member_parameters_": None,
        "posterior_covariance_": None,
        "_labels": labels,
        "_network": network,
        "_standardization": problem.standardization,
    }


@contextmanager
def replaced_when_whole(estimator):
    """Yield a copy to be fitted, whose attributes the estimator then takes over.

    All at once, and none if the body fails or is interrupted: another thread may
    predict meanwhile.
    """
    fitted = shallow_copy(estimator)
    before = dict(vars(fitted))
    yield fitted
    after = vars(fitted)
    changed = {
        name: value
        for name, value in after.items()
        if name not in before or before[name] is not value
    }
    # what others have set meanwhile is kept
    kept = {
        name: value
        for name, value in dict(vars(estimator)).items()
        if name in after or name not in before
    }
    estimator.__dict__ = kept | changed
