"""PairedMLPClassifier: validates, encodes, assembles, fits, predicts."""

import warnings
from contextlib import contextmanager
from functools import partial
from inspect import signature

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state

from skce._fitting.callbacks import CallbackSupportMixin, fit_task, with_callbacks
from skce._fitting.checkpoint import digest_of, tape_at
from skce._fitting.fits import (
    BrokenFitError,
    Fits,
    Outcome,
    fit_from_starts,
    most_subtasks,
)
from skce._fitting.parameters import check_parameters
from skce._fitting.solvers import NonFiniteObjectiveError
from skce._fitting.stages import LEAST_ROWS, new_objective
from skce._fitting.starts import new_starts
from skce._fitting.stopping import (
    ValidationWatch,
    given_rows,
    negative_loss,
    score_of,
    split_rows,
)
from skce._inputs.labels import encode, encode_targets
from skce._inputs.validation import (
    check_layer_sizes,
    check_training_rows,
    check_weights,
    largest,
    with_unit_mean,
)
from skce._inputs.weights import class_factors, mass, weigh_classes
from skce._network.blocks import dense_if_small, merge_repeated_rows
from skce._network.executors import workers
from skce._network.kernels import Network
from skce._support.documentation import link_template
from skce.losses.activations import get_activation
from skce.losses.hidden import get_hidden_activation
from skce.losses.pairings import (
    DegeneratePairingWarning,
    check_shapes,
    pair,
    pairing_status,
    why_degenerate,
)
from skce.prediction import Predictions
from skce.uncertainty._laplace import check_moderated, posterior_covariance

__all__ = ["PairedMLPClassifier", "unchanged_on_failure"]

# Beyond this, alpha / sum(w) leaves nothing of the loss in the digits of the objective.
MAX_DECAY = 1e12


class PairedMLPClassifier(
    CallbackSupportMixin, Predictions, ClassifierMixin, BaseEstimator
):
    """Multilayer perceptron with free choice of output activation and training loss.

    Minimises the mean loss of the rows plus an L2 term,

        1/S sum_i w_i rho(t_i, f(z_i)) + alpha / (2 S) |W|^2,    S = sum_i w_i,

    by scipy.optimize with exact gradients, where z are the logits of the last
    layer, f is the output `activation` and rho the `penalty`; biases are not
    penalised. Losses are computed on the logits, so that value and gradient are
    exact however large the logits are.

    Parameters
    ----------
    activation : {"identity", "logistic", "softmax", "sparsemax"} or Activation, \
            default="softmax"
        Activation of the output units. (That of the hidden units is
        `hidden_activation`.)
    penalty : {"natural", "least_squares", "cross_entropy", "binary_cross_entropy"} \
            or Penalty, default="natural"
        Training loss. "natural" is the natural loss of the activation: least
        squares for identity, binary cross-entropy for logistic, cross-entropy for
        softmax and the sparsemax loss for sparsemax. identity and sparsemax cannot
        be paired with a logarithmic penalty; logistic with cross_entropy can, but
        the pair is degenerate.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer. () has no hidden layer: the classifier is then
        (multinomial) logistic regression, one-vs-rest logistic regression or
        linear least squares, by the pair.
    hidden_activation : {"logistic", "tanh", "relu", "identity"} or \
            HiddenActivation, default="logistic"
        Activation of the hidden units.
    alpha : float, default=1e-4
        Strength of the L2 term, on the scale of MLPClassifier.
    class_weight : None, "balanced", dict or list of dict, default=None
        Weights of the classes, times `sample_weight`. "balanced": inversely
        proportional to the weight of a class's rows. A dict maps labels to weights, 1
        if missing. For a multilabel y "balanced", or a list with a dict
        {0: weight, 1: weight} a label, whose factors multiply.
    label_smoothing : float, default=0.0
        In [0, 1): the part s of a target that is spread evenly over all classes,
        (1 - s) t + s / q (for element-wise activations over 0 and 1,
        (1 - s) t + s / 2).
    solver : {"lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov"}, \
            default="lbfgs"
        Method of scipy.optimize.minimize. newton-cg, trust-ncg and trust-krylov use
        exact Hessian-vector products and are for tight optima; bfgs keeps a matrix
        of parameters x parameters and is for small networks.
    max_iter : int, default=1000
        Most iterations. In a growing sample, an iteration on a tenth of the rows
        counts as a tenth.
    max_fun : int, default=15000
        Most evaluations of the objective and of Hessian products together, in all
        stages.
    tol : float, default=1e-4
        The fit has converged when no component of the gradient is larger.
    init : {"glorot", "uniform"}, default="glorot"
        Start of the weights. "glorot": uniform on +-sqrt(6 / (fan_in + fan_out)),
        biases 0 (Glorot & Bengio 2010); without hidden units all 0. "uniform": all
        weights and biases uniform on (-1, 1), as in Dunne & Campbell.
    n_init : int, default=1
        Starts. The fit with the lowest objective is kept, or with early stopping that
        with the best validation score; `init_losses_` has all final objectives. The
        starts run in threads of `n_jobs`, if they are worth it.
    early_stopping : bool, default=False
        Whether to stop once `scoring` of validation rows has not risen for
        `n_iter_no_change` iterations, and to go back to the best. The rows are a
        stratified part of the training rows, or X_val and y_val of `fit`. In a growing
        sample the last stage alone is watched.
    validation_fraction : float, default=0.1
        Fraction of the training rows that is kept for validation. Of at most 2048
        rows, duplicates are kept in the same split. Of an X of more than 128 MB, runs
        of neighbouring rows are taken, at most 32 MB.
    n_iter_no_change : int, default=10
        See `early_stopping`.
    scoring : "penalty", str or callable, default="penalty"
        What is watched: "penalty" is minus the mean penalty of the validation rows,
        with class weights and smoothed labels as in training; others are scorers of
        scikit-learn, without class weights, which cost a prediction an iteration. With
        `n_init` a callable must not keep a state of its own.
    moderated : bool, default=False
        Whether `predict_proba` averages over the weights that the training rows leave
        open, by the Laplace approximation of their posterior (MacKay 1992), so that it
        is less certain far from them. For the natural pairs of softmax and logistic,
        alpha > 0 and at most 5000 parameters P: fit then takes some n q P^2 operations
        more, and a prediction as many. Set to False, a fitted classifier predicts
        without it.
    random_state : int, RandomState instance or None, default=None
        Of the start weights, the growing sample and the validation rows.
    growing_sample : {"auto", True, False}, default="auto"
        Whether to begin on random parts of the rows, a sixteenth, an eighth, and so
        on, stratified by class, each for as long as the loss of as many fresh rows
        falls; the last stage is always on all rows. (Of an X of more than 128 MB, a
        file perhaps, they are runs of neighbours, not stratified.) "auto": from 32768
        rows on. Not after a warm start. No part is
        larger than what can be copied in 64 MB.
    warm_start : bool, default=False
        Whether to start from `coefs_` and `intercepts_` of the previous fit, which
        must have had the same features, classes and layers.
    n_jobs : int or None, default=None
        Threads over blocks of rows, in fit and predict. None: as many as BLAS may use
        (OMP_NUM_THREADS, threadpoolctl and joblib's limits are obeyed); -1: all
        cores. The result has the same bits for any number.
    verbose : bool or int, default=False
        Whether to print a line an iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; 0 ... n_labels - 1 after a multilabel fit.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer, of X's dtype.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    pairing_ : Pairing
        The pair as resolved, with its `status`.
    loss_ : float
        The objective at the end, L2 term included (nats a row for the logarithmic
        penalties).
    loss_curve_ : list of float
        The objective after each iteration of the last stage, on all rows, which after
        a growing sample begins low.
    history_ : dict of str to list
        Columns of a table with a row an iteration of the last stage: "loss" as in
        `loss_curve_`; "gradient_norm", the largest absolute component, which `tol`
        is compared with; "evaluations" of the objective and of Hessian products, and
        "seconds", since the stage began.
    n_iter_ : int
        Iterations of the last stage; 0 if it began at a stationary point, or the fit
        was ended before it. Earlier
        stages count against `max_iter`, at most three quarters of it, so that less
        than `max_iter` does not mean convergence: see `solver_result_["success"]`.
    stages_ : list of Stage
        One record per stage, with its n_rows, n_iter, nfev, loss_curve and fresh_loss.
        The last is that on all rows, and without a growing sample the only one.
    solver_result_ : dict
        SciPy's record of how the last stage stopped: status, message, success, nit,
        nfev (evaluations of the objective with its gradient), nhev (Hessian products),
        gradient_norm (the largest absolute component), seconds and reason: "tolerance",
        "stopped" (early, or by a callback), "interrupted", "max_iter", "max_fun",
        "breakdown", "precision" or "overflow" (of `BrokenFitError.best`). With the
        solver, tol and alpha of the fit.
    init_losses_ : ndarray of shape (n_init,)
        The final objective of each start; inf where it overflowed, NaN where Ctrl-C or
        a callback's stop came before it.
    validation_scores_ : list of float or None
        With early stopping, the score after each iteration of the last stage; greater
        is better.
    best_validation_score_ : float or None
        That of the weights that are kept.
    posterior_covariance_ : ndarray of shape (n_parameters, n_parameters) or None
        With `moderated`, that of coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel(),
        and so on.
    n_layers_ : int
        Layers, inputs and outputs included.
    n_outputs_ : int
        Output units: one for two classes and element-wise activations, else one a
        class or label.
    out_activation_ : str
        Name of the output activation.
    n_features_in_ : int
        Features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had names that are all strings.

    See Also
    --------
    pairing_grid : All pairs as a grid for GridSearchCV.
    pairing_status : Whether a pair is natural, workable, degenerate or undefined.
    summary : What was fitted, how it ended, and how well calibrated it is.
    standard_errors : Of the coefficients, without hidden units.

    References
    ----------
    Dunne & Campbell (1997), "On the pairing of the softmax activation and
    cross-entropy penalty functions and the derivation of the softmax activation
    function".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skce import PairedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(
    ...     StandardScaler(),
    ...     PairedMLPClassifier("softmax", "least_squares", alpha=0.1, random_state=0),
    ... )
    >>> clf.fit(X, y).score(X, y) > 0.95
    True
    >>> clf[-1].pairing_
    <softmax x least_squares: workable>

    Rare classes, uncertain labels, and the best of three starts:

    >>> params = {"hidden_layer_sizes": 5, "alpha": 1, "random_state": 0}
    >>> clf = PairedMLPClassifier(
    ...     class_weight="balanced", label_smoothing=0.1, n_init=3, **params
    ... ).fit(X, y)
    >>> clf.init_losses_.round(2)
    array([0.21, 0.21, 0.21])

    Once more from where it ended, with other labels:

    >>> clf.set_params(warm_start=True, label_smoothing=0).fit(X, y).n_iter_ > 0
    True

    Probabilities that know how little a few rows say:

    >>> few = PairedMLPClassifier(**params).fit(X[::10], y[::10])
    >>> moderated = PairedMLPClassifier(moderated=True, **params).fit(X[::10], y[::10])
    >>> for clf in (few, moderated):
    ...     print(clf.predict_proba(10 * X[:1]).max().round(2))
    0.68
    0.46

    The iterations as a table, and callbacks of scikit-learn (from 1.9 on):

    >>> import pandas as pd
    >>> pd.DataFrame(few.history_).columns.tolist()
    ['loss', 'gradient_norm', 'evaluations', 'seconds']
    >>> from sklearn.callback import ProgressBar  # doctest: +SKIP
    >>> few.set_callbacks(ProgressBar()).fit(X, y)  # doctest: +SKIP
    """

    def __init__(
        self,
        activation="softmax",
        penalty="natural",
        *,
        hidden_layer_sizes=(100,),
        hidden_activation="logistic",
        alpha=1e-4,
        class_weight=None,
        label_smoothing=0.0,
        solver="lbfgs",
        max_iter=1000,
        max_fun=15000,
        tol=1e-4,
        init="glorot",
        n_init=1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        scoring="penalty",
        moderated=False,
        random_state=None,
        growing_sample="auto",
        warm_start=False,
        n_jobs=None,
        verbose=False,
    ):
        self.activation = activation
        self.penalty = penalty
        self.hidden_layer_sizes = hidden_layer_sizes
        self.hidden_activation = hidden_activation
        self.alpha = alpha
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.solver = solver
        self.max_iter = max_iter
        self.max_fun = max_fun
        self.tol = tol
        self.init = init
        self.n_init = n_init
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

    # Of the HTML repr
    _doc_link_module = "skce"
    _doc_link_template = property(lambda self: link_template())

    def __setstate__(self, state):
        """Fill what the version that has stored it did not have with its default."""
        parameters = signature(type(self)).parameters.values()
        has_default = [p for p in parameters if p.default is not p.empty]
        defaults = {p.name: p.default for p in has_default}
        if "coefs_" in state:
            defaults |= {"posterior_covariance_": None, "_columns": None}
        super().__setstate__(defaults | state)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        try:
            elementwise = get_activation(self.activation).elementwise
            degenerate = pairing_status(self.activation, self.penalty) == "degenerate"
        except (ValueError, NotImplementedError):  # fit will say what is wrong
            return tags
        tags.classifier_tags.multi_label = elementwise
        tags.classifier_tags.poor_score = degenerate
        return tags

    @with_callbacks
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        coefs_init=None,
        intercepts_init=None,
        checkpoint=None,
    ):
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is computed as float32, everything else as float64.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0/1 indicators (multilabel) where the activation is
            element-wise.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight equals so many repetitions, and
            the order of the rows does not matter: to the last bit up to 2048 rows, to
            rounding beyond. (A growing sample, and beyond 2048 rows a validation split,
            draw rows by their position, and so give other results.)
        X_val, y_val : like X and y, default=None
            Rows for early stopping. In a pipeline, `transform_input=["X_val"]` has
            them go through its steps.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        coefs_init, intercepts_init : list of array-like, default=None
            Where to start, in the shapes of `coefs_` and `intercepts_`, in place of
            random weights (with `n_init`, of the first of them) or a warm start.
        checkpoint : path-like, default=None
            A file that each evaluation is appended to, 8 bytes a parameter. A fit that
            was ended, by Ctrl-C, a crash or max_iter, is taken up again by the same
            call on the same rows, and goes the same way to the last bit. Needs an
            integer `random_state`; with one start and without a growing sample
            max_iter, max_fun and tol may be others. A file is of one fit: not for
            searches.

        Returns
        -------
        self : PairedMLPClassifier

        Raises
        ------
        ValueError
            If a parameter, X, y or the weights cannot be used. An estimator that was
            fitted before is then as it was.
        BrokenFitError
            A ValueError, if the objective overflows on the way; its attribute `best` is
            a copy of the estimator with the last good weights.

        Warns
        -----
        ConvergenceWarning
            If the fit ended short of `tol` and was not stopped early. Ctrl-C ends the
            fit so, with the best weights so far (a search goes on with the next fit);
            before the first iteration it is passed on.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> from skce import PairedMLPClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> X, X_val, y, y_val = train_test_split(X / 16, y, random_state=0)
        >>> clf = PairedMLPClassifier(early_stopping=True, random_state=1)
        >>> clf.fit(X, y, X_val=X_val, y_val=y_val).solver_result_["reason"]
        'stopped'

        By a scorer; from given weights; and with a checkpoint:

        >>> clf.set_params(scoring="neg_log_loss").fit(X, y).best_validation_score_ > -1
        True
        >>> start = {"coefs_init": clf.coefs_, "intercepts_init": clf.intercepts_}
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     clf = clf.fit(X, y, **start, checkpoint=f"{folder}/checkpoint")
        """
        validation = X_val, y_val, sample_weight_val
        start = coefs_init, intercepts_init
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        told = {"X": X, "y": y, "metadata": weights}
        return self._fit(
            X, y, sample_weight, validation, start, encode, told, checkpoint
        )

    @with_callbacks
    def fit_targets(
        self,
        X,
        targets,
        sample_weight=None,
        classes=None,
        X_val=None,
        targets_val=None,
        sample_weight_val=None,
        coefs_init=None,
        intercepts_init=None,
        checkpoint=None,
    ):
        """Fit the network to soft targets: a probability for each row and class.

        For labels that several people gave, for the outputs of another model, or for
        proportions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        targets : array-like of shape (n_samples, n_classes)
            Rows of probabilities.
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            Labels of the columns, for `predict`; 0 ... n_classes - 1 by default.
        X_val, targets_val, sample_weight_val : default=None
            Rows for early stopping, like X and targets.
        coefs_init, intercepts_init, checkpoint : default=None
            As in `fit`.

        Returns
        -------
        self : PairedMLPClassifier

        Raises
        ------
        ValueError
            As `fit`, and if the targets are no probabilities, or class_weight is set,
            for which a row needs one class.

        Examples
        --------
        >>> import numpy as np
        >>> from skce import PairedMLPClassifier
        >>> X = np.linspace(-2, 2, 50)[:, np.newaxis]
        >>> p = 1 / (1 + np.exp(-3 * X))
        >>> clf = PairedMLPClassifier(hidden_layer_sizes=(), alpha=0)
        >>> clf.fit_targets(X, np.hstack([1 - p, p]), classes=["no", "yes"])
        PairedMLPClassifier(alpha=0, hidden_layer_sizes=())
        >>> round(float(np.diff(clf.coefs_[0])[0, 0]), 2)
        3.0
        """
        if self.class_weight is not None:
            raise ValueError(
                "class_weight is not defined for soft targets, whose rows have no one "
                "class: pass sample_weight."
            )

        def encode_given(targets, activation):
            return encode_targets(targets, classes, activation)

        validation = X_val, targets_val, sample_weight_val
        start = coefs_init, intercepts_init
        return self._fit(
            X,
            targets,
            sample_weight,
            validation,
            start,
            encode_given,
            {"X": X},
            checkpoint,
        )

    def _fit(
        self, X, y, sample_weight, validation, start, encode_labels, told, checkpoint
    ):
        """Fit to what `encode_labels` makes of y; callbacks hear what is `told`."""
        check_parameters(self)
        context = self._callback_context()
        with unchanged_on_failure(self):
            pairing = pair(self.activation, self.penalty)
            hidden_activation = get_hidden_activation(self.hidden_activation)
            hidden_sizes = check_layer_sizes(self.hidden_layer_sizes)
            warm = self.warm_start and hasattr(self, "coefs_")
            X, y = check_training_rows(self, X, y)
            labels = encode_labels(y, pairing.activation)
            weights, total_weight = check_weights(sample_weight, X)
            rows = merge_repeated_rows(dense_if_small(X), labels.codes, weights)
            before = mass(rows)
            factors = None
            if self.class_weight is not None:
                factors = class_factors(self.class_weight, labels, *rows[1:])
            if pairing.status == "degenerate":
                warnings.warn(
                    why_degenerate(pairing), DegeneratePairingWarning, stacklevel=4
                )
            random_state = check_random_state(self.random_state)
            validation = given_rows(self, validation, labels)
            if self.early_stopping and validation is None:
                rows, validation = split_rows(
                    rows,
                    self.validation_fraction,
                    random_state,
                    weighted=sample_weight is not None,
                )
            rows = weigh_classes(rows, factors)
            total_weight *= mass(rows) / before
            X, codes, weights = rows
            network = Network(
                (X.shape[1], *hidden_sizes, labels.n_outputs),
                hidden_activation,
                pairing,
            )
            check_shapes(pairing, labels.n_outputs)
            if self.moderated:
                check_moderated(network, self.alpha)
            grow = self.growing_sample
            if isinstance(grow, str):  # "auto"
                grow = X.shape[0] >= LEAST_ROWS
            grow = bool(grow)
            starts = new_starts(
                self,
                network,
                labels,
                X,
                random_state,
                given=start,
                warm=warm,
                grow=grow,
            )
            rows = X, codes, with_unit_mean(weights, X.dtype)
            new_watch = None
            if validation is not None:
                new_watch = partial(
                    self._new_watch, network, labels, validation, factors, X.dtype
                )
            decay = self._decay(total_weight)
            self._run_and_keep(
                network,
                labels,
                starts,
                rows,
                X.dtype,
                decay=decay,
                new_watch=new_watch,
                told=told,
                context=context,
                tape=tape_at(
                    checkpoint,
                    self,
                    network,
                    lambda: _digest(rows, starts, validation),
                    several=grow or len(starts) > 1,
                ),
                largest=lambda: largest(X),
                moved=warm or start != (None, None),
            )
            if self.moderated:
                self._moderate(network, rows, total_weight)
        return self

    def _decay(self, total_weight):
        """alpha / S."""
        decay = float(self.alpha) / total_weight
        if decay > MAX_DECAY:
            raise ValueError(
                f"alpha={self.alpha:g} over the sum of the weights, {total_weight:g}, "
                f"is more than {MAX_DECAY:g}: the L2 term leaves nothing of the loss. "
                "Lower alpha, or multiply sample_weight by a constant to a mean of 1."
            )
        return decay

    def _callback_context(self):
        """What scikit-learn's callbacks are told through; None before version 1.9."""
        if not hasattr(self, "_init_callback_context"):
            return None
        return self._init_callback_context(
            max_subtasks=most_subtasks(self.max_iter, self.n_init)
        )

    def _run_and_keep(
        self,
        network,
        labels,
        starts,
        rows,
        dtype,
        *,
        decay,
        new_watch,
        told,
        context,
        tape,
        largest,
        moved,
        **elsewhere,
    ):
        """Minimise, say what is to be said of it, and set the fitted attributes.

        `tape` is a context manager; `largest` gives the largest absolute value of X;
        `moved` says that the first start was given; and `elsewhere` are `whole` and
        `frequencies` of `fit_from_starts`, for rows that are not here.
        """
        attributes_at = partial(_fitted_parameters, network, labels, dtype)
        task = fit_task(context, {"estimator": self, **told}, attributes_at)
        soft = self.label_smoothing > 0 or labels.columns is not None
        try:
            with tape as tape:
                fits = fit_from_starts(
                    network,
                    starts,
                    rows,
                    new_watch=new_watch,
                    n_jobs=self.n_jobs,
                    soft=soft,
                    task=task,
                    tape=tape,
                    smoothing=self._smoothing(network),
                    decay=decay,
                    max_iter=self.max_iter,
                    solver=self.solver,
                    tol=self.tol,
                    max_fun=self.max_fun,
                    verbose=self.verbose,
                    **elsewhere,
                )
        except NonFiniteObjectiveError as error:
            raise self._broken_fit(error, largest(), dtype, attributes_at) from error
        theta, remedy = fits.best.solution.theta, fits.remedy(moved)
        lost = getattr(elsewhere.get("whole"), "lost", None)  # an error says more
        if remedy is not None and lost is None:
            warnings.warn(
                f"{network.pairing}: {self.solver} {remedy}.",
                ConvergenceWarning,
                stacklevel=5,
            )
        vars(self).update(attributes_at(theta))
        self._keep_record(fits)
        if task is not None:
            task.end(theta)

    def _broken_fit(self, error, largest, dtype, attributes_at):
        """The error of a fit whose objective overflowed on its way."""
        best, kept = None, "no iteration had ended"
        if error.solution is not None:
            best = clone(self)
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(self, name):
                    setattr(best, name, getattr(self, name))
            vars(best).update(attributes_at(error.solution.theta))
            outcome = Outcome(None, error.solution, error.stages)
            best._keep_record(Fits([outcome], interrupted=False, constant=np.inf))
            kept = "the error's attribute best is fitted with the last good weights"
        return BrokenFitError(
            f"The fit broke off: {error}. X reaches {largest:.3g} in absolute "
            f"value, as {dtype}: scale the features to mean 0 and variance 1 "
            "(StandardScaler), or raise alpha; of a penalty or activation of your own, "
            f"look at its domain or range. This estimator is as it was; {kept}.",
            best,
        )

    def _moderate(self, network, rows, total_weight):
        """Set the covariance of the parameters; Ctrl-C leaves the fit without it."""
        X, *_ = rows
        try:
            with workers(X.shape[0] * network.n_parameters, self.n_jobs) as run:
                self.posterior_covariance_ = posterior_covariance(
                    network,
                    self.coefs_,
                    self.intercepts_,
                    rows,
                    self._smoothing(network),
                    total_weight,
                    self.alpha,
                    run,
                )
        except KeyboardInterrupt:
            warnings.warn(
                "The fit has ended, but Ctrl-C came before the covariance that "
                "moderated=True needs: probabilities are not moderated.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _smoothing(self, network):
        """What `Block` wants of `label_smoothing`."""
        if self.label_smoothing == 0:
            return None
        elementwise = network.pairing.activation.elementwise
        n_values = 2 if elementwise else network.n_outputs
        return self.label_smoothing, self.label_smoothing / n_values

    def _new_watch(self, network, labels, validation, factors, dtype, run):
        """A ValidationWatch for one start."""
        if isinstance(self.scoring, str) and self.scoring == "penalty":
            X, codes, weights = weigh_classes(validation.rows, factors)
            objective = new_objective(
                network,
                (X, codes, with_unit_mean(weights, dtype)),
                0.0,
                dtype=dtype,
                run=run,
                smoothing=self._smoothing(network),
            )
            score = negative_loss(objective)
        else:

            def keep(estimator, theta):
                vars(estimator).update(
                    _fitted_parameters(network, labels, dtype, theta)
                )

            scorer = check_scoring(self, self.scoring)
            score = score_of(scorer, self, keep, validation.for_scorer(labels))
        return ValidationWatch(score, self.n_iter_no_change, self.scoring)

    def _keep_record(self, fits):
        """Set the attributes that tell how the fit went."""
        best = fits.best
        self.loss_ = best.solution.value
        self.history_ = best.solution.history
        self.loss_curve_ = self.history_["loss"]
        self.n_iter_ = best.solution.record["nit"]
        self.solver_result_ = best.solution.record | {
            "solver": self.solver,
            "tol": float(self.tol),
            "alpha": float(self.alpha),
        }
        self.stages_ = best.stages
        self.init_losses_ = np.array([outcome.loss for outcome in fits.outcomes])
        watch = best.watch
        self.validation_scores_ = None if watch is None else watch.scores
        self.best_validation_score_ = None if watch is None else watch.best_score


def _fitted_parameters(network, labels, dtype, theta):
    """The attributes that predictions need, by their names."""
    weights, biases = network.weights_and_biases(theta)
    return {
        "coefs_": [np.ascontiguousarray(W.T, dtype=dtype) for W in weights],
        "intercepts_": [b.astype(dtype) for b in biases],
        "classes_": labels.classes,
        "pairing_": network.pairing,
        "n_layers_": len(network.layer_sizes),
        "n_outputs_": network.n_outputs,
        "out_activation_": network.pairing.activation.name,
        "_multilabel": labels.multilabel,
        "_columns": labels.columns,
        "_hidden_activation": network.hidden_activation,
        "posterior_covariance_": None,
    }


def _digest(rows, starts, validation):
    """What a checkpoint knows the rows and the starts by."""
    thetas = [theta for theta, _, _ in starts]
    others = () if validation is None else validation.rows
    return digest_of(*rows, *thetas, *others)


@contextmanager
def unchanged_on_failure(estimator):
    """Put the estimator's attributes back if the body fails or is interrupted."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
