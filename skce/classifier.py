"""PairedMLPClassifier: its parameters, its attributes and what `fit` accepts."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import Any, Self

from numpy.typing import ArrayLike

from skce._estimator import BasePairedMLP
from skce._fitting.problem import Given, Problem
from skce._inputs.duplicates import dense_if_small, merge_duplicates
from skce._inputs.labels import (
    as_labels,
    encode,
    encode_targets,
    ordered_categories,
)
from skce._inputs.sampling import given_validation, split_data, warn_if_cut
from skce._inputs.validation import check_training_rows
from skce._inputs.weights import (
    check_weights,
    class_factors,
    class_totals,
    weigh_data,
)
from skce._network.data import Data
from skce._network.rows import LocalRows
from skce._network.standardization import Standardization
from skce.uncertainty._laplace import check_moderated

__all__ = ["PairedMLPClassifier"]


class PairedMLPClassifier(BasePairedMLP):
    """Multilayer perceptron with free choice of output activation and training loss.

    Minimises the mean loss of the rows plus an L2 term,

        1/S sum_i w_i rho(t_i, f(z_i)) + alpha / (2 S) |W|^2,    S = sum_i w_i,

    by scipy.optimize with exact gradients. z are the logits of the last layer, f is
    the output `activation` and rho is the `penalty`; biases are not penalised. Losses
    are computed from the logits, so that value and gradient are exact however large
    the logits are.

    The defaults were chosen on 20 tables and confirmed on 27 others (see
    "Out-of-the-box quality" in the documentation). Features are standardised within
    the fit.

    Parameters
    ----------
    activation : str or Activation, default="softmax"
        Activation of the output units: "identity", "logistic", "probit", "cloglog",
        "softmax", "entmax", "sparsemax", "ordinal" or another name in
        `skce.losses.ACTIVATIONS`. (For the hidden units see
        `hidden_activation`.)
    penalty : str or Penalty, default="natural"
        Training loss: "natural", "least_squares", "cross_entropy",
        "binary_cross_entropy" or another name in `skce.losses.PENALTIES`. "natural" is
        the natural loss of the activation: least squares for identity, binary
        cross-entropy for logistic, cross-entropy for softmax; those of entmax and
        sparsemax have no other name. entmax, sparsemax and identity, whose outputs
        can be 0, cannot be paired with a logarithmic penalty. logistic can be paired
        with cross_entropy, but that pair is degenerate. probit, cloglog and ordinal
        have no natural loss, but a likelihood: binary_cross_entropy, and for ordinal
        cross_entropy.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Number of units in each hidden layer. () means no hidden layer: the classifier
        is then (multinomial) logistic regression, one-vs-rest logistic regression or
        linear least squares, depending on the pair.
    hidden_activation : str or HiddenActivation, default="relu"
        Activation of the hidden units: "relu", "softplus", "silu", "gelu", "tanh",
        "logistic", "identity" or another name in `skce.losses.HIDDEN_ACTIVATIONS`. relu
        has kinks: use a smooth one, such as "tanh" or "silu", to reach the minimum
        to many digits, or for second-order solvers.
    skip_layer : bool, default=False
        Whether the inputs are also connected directly to the outputs (skip-layer
        connections), with coefficients of their own, `skip_coef_`, which the L2 term
        includes. Such a network contains the one without hidden layers: it equals that
        network where the output weights of the hidden units are 0. Without hidden
        layers it has no effect, because `coefs_[0]` already connects the two.
    alpha : float, default=2.0
        Strength of the L2 term, on the scale of MLPClassifier. (Its default, 1e-4, is
        too small for a solver that reaches the minimum.) The best value depends on the
        data and is usually between 0.05 and 20: `PairedMLPClassifierCV` finds it.
    class_weight : None, "balanced", dict or list of dict, default=None
        Weights of the classes, multiplied by `sample_weight`. "balanced": inversely
        proportional to the total weight of the rows of a class. A dict maps labels to
        weights; missing ones are 1. For a multilabel y: "balanced", or a list with one
        dict {0: weight, 1: weight} per label, whose weights are multiplied.
    label_smoothing : float, default=0.0
        In [0, 1): the share s of each target that is spread evenly over all classes,
        (1 - s) t + s / q (for element-wise activations over 0 and 1,
        (1 - s) t + s / 2).
    solver : {"lbfgs", "bfgs", "cg", "newton-cg", "trust-ncg", "trust-krylov"}, \
            default="lbfgs"
        Method of scipy.optimize.minimize. newton-cg, trust-ncg and trust-krylov use
        exact Hessian-vector products and reach small gradients; bfgs stores a matrix
        of parameters x parameters and is meant for small networks.
    max_iter : int, default=1000
        Maximum number of iterations. In a growing sample, an iteration on a tenth of
        the rows counts as a tenth; a pass in minibatches counts as one.
    max_fun : int, default=15000
        Maximum number of evaluations of the objective and of Hessian products
        together, in all stages.
    tol : float, default=1e-4
        The fit has converged when no component of the gradient (with respect to the
        parameters of the standardised features) exceeds tol. Unless tol is below 1e-4,
        it has also converged when ten iterations have lowered the objective by less
        than 0.4 % (a plateau; 0.04 % if the gradient is above 50 tol), or when there is
        no lower point at a kink of relu.
    standardize : bool, default=True
        Whether the solver and the L2 term use the weights of standardised features,
        (x - mean) / scale. The scale is the standard deviation in the training rows.
        For a feature with zeros, squared deviations are averaged over the non-zero
        values, so that rare values are not inflated. Indicators (0 and 1) are left as
        they are. `coefs_` apply to X as it is; X is neither copied nor, if sparse, made
        dense. Features without zeros that have mean 0 and variance 1 are not changed.
        False: the L2 term applies to the weights of X itself, as in MLPClassifier and
        LogisticRegression.
    init : {"glorot", "uniform"}, default="glorot"
        Initial weights. "glorot": uniform on +-g sqrt(6 / (fan_in + fan_out)),
        biases 0 (Glorot & Bengio 2010), where g preserves the variance from layer to
        layer (for relu sqrt(2), He et al. 2015); without hidden units all 0. "uniform":
        all weights and biases uniform on (-1, 1), as in Dunne & Campbell.
    n_init : int, default=1
        Number of random starts. The fit with the lowest objective is kept or, with
        early stopping, the one with the best validation score. `init_losses_` has all
        final objectives. The starts share the threads of `n_jobs` if that pays.
    average_starts : bool, default=False
        Whether `predict_proba` averages the probabilities of all `n_init` fits instead
        of using the best one alone (a deep ensemble; avNNet in R's caret). Ten starts
        of 20 units with alpha=0.1 lowered the log loss on 11 tables by 29 % against the
        best of them; with the default alpha, whose starts all end in about the same
        minimum on so few rows, by 1 %. On thousands of rows it helps there too. Starts
        that overflow or get stuck (that lower the objective, from that of the class
        frequencies, by less than half of what the best one does) are left out with a
        warning. `coefs_`, the record of the fit, and standard errors are those of the
        best one; `members()` returns all. There is no `decision_function`, and
        `moderated` must be False. Setting it to False in a fitted classifier predicts
        by the best one alone.
    early_stopping : bool, default=False
        Whether to stop once the score of the validation rows has not improved for
        `n_iter_no_change` iterations, and to return to the best weights. The validation
        rows are a stratified part of the training rows, or X_val and y_val of `fit`.
        With a growing sample, only the last stage is watched.
    validation_fraction : float, default=0.1
        Fraction of the training rows that is held out for validation. With at most 2048
        rows, duplicates are kept in the same split. If X exceeds 128 MB, runs of
        neighbouring rows are held out, at most 32 MB in all.
    n_iter_no_change : int or inf, default=10
        See `early_stopping`. inf: never stop, but still return to the best weights.
    scoring : "penalty", str or callable, default="penalty"
        Score of the validation rows. "penalty" is minus their mean loss, with class
        weights and smoothed labels as in training. Anything else is a scorer of
        scikit-learn, which costs a prediction per iteration and ignores class weights.
        With `n_init` a callable must be stateless, because starts run in threads.
    moderated : bool, default=False
        Whether `predict_proba` averages over the Laplace approximation of the posterior
        of the weights (MacKay 1992), so that it is less certain far from the training
        data. Requires a loss that is a likelihood, such as the natural one of softmax
        and logistic outputs, alpha > 0 and at most 5000 parameters P; costs about
        n q P^2 extra operations in fit and in prediction. Setting it to False turns it
        off in a fitted classifier.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the growing sample or the order of the
        minibatches, and the validation rows.
    growing_sample : {"auto", "minibatches", True, False}, default="auto"
        Whether to start with early stages on fewer rows at a time. The last stage
        always uses all rows. "minibatches": up to 8 passes over the rows in random
        order, or 16 if there are ten rows per parameter, with a step of Adam (Kingma &
        Ba 2015) for every 200 of them; at most 20 000 steps. True: on random samples of
        the rows (a sixteenth, an eighth, and so on, stratified by class), each for as
        long as the loss of an equal number of fresh rows falls; no sample takes more
        than 64 MB. "auto": from 8192 rows on, "minibatches" for dense X and a network
        with hidden units, else True. Not used after a warm start. (If X exceeds 128 MB,
        as a file may, it is read in runs of neighbouring rows.)
    warm_start : bool, default=False
        Whether to start from `coefs_` and `intercepts_` of the previous fit, which
        must have had the same features, classes and layers; with `skip_layer`, it may
        have been one without hidden layers, to which the hidden units are added. The
        solver does not keep
        what it has learned about the curvature: to monitor a fit, use callbacks instead
        of many short fits. With `average_starts` each member continues; hidden units
        are added to the best one alone.
    n_jobs : int or None, default=None
        Threads over blocks of rows, in fit and predict. None: as many as BLAS may use
        (OMP_NUM_THREADS, threadpoolctl and joblib's limits are respected); -1: all
        cores, -2: all but one, and so on. The result is bit-identical for any number.
    verbose : bool or int, default=False
        0 or False: print nothing. 1 or True: print why each start ended, and a line for
        each of the first ten iterations, then every tenth, from the hundredth on every
        hundredth, and the last. 2 or more: a line per iteration.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; 0, ..., n_labels - 1 after a multilabel fit.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer, with the dtype of X.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    skip_coef_ : ndarray of shape (n_features, n_outputs) or None
        Coefficients of the skip-layer connections: the logits are those of the layers
        plus X @ skip_coef_. None without them: skip_layer=False, or no hidden layer.
    thresholds_ : ndarray of shape (n_classes - 1,) or None
        For `activation="ordinal"`, the thresholds between the ordered classes, on the
        scale of the predictor without an intercept. Its coefficients are
        `coefs_[-1][:, 1]`.
    pairing_ : Pairing
        The pair of activation and loss, with its `status`.
    loss_ : float
        The final objective, including the L2 term (in nats per row for logarithmic
        penalties).
    loss_curve_ : list of float
        The objective on all rows after each iteration of the last stage. After a
        growing sample it starts close to its final value.
    history_ : dict of str to list
        Columns of a table with one row per iteration of the last stage: "loss" as in
        `loss_curve_`; "gradient_norm", the largest absolute component, which is
        compared with `tol`; "evaluations" of the objective and of Hessian products, and
        "seconds", both since the start of the stage.
    n_iter_ : int
        Number of iterations of the last stage; 0 if it started at a stationary point,
        or if the fit ended before it. Earlier stages use up to three quarters of
        `max_iter`, so look at `solver_result_["success"]` for convergence.
    stages_ : list of Stage
        One record per stage, with its n_rows, n_iter (with minibatches, passes), nfev,
        loss_curve, fresh_loss and batch_size. The last is on all rows; without a
        growing sample it is the only one.
    solver_result_ : dict
        SciPy's record of how the last stage ended: status, message, success, nit,
        nfev (evaluations of the objective with its gradient), nhev (Hessian products),
        gradient_norm (the largest absolute component), seconds and reason: "tolerance"
        or "plateau" (both are successes), "stopped" (early, or by a callback),
        "interrupted", "max_iter", "max_fun", "memory", "breakdown", "precision" or
        "overflow" (of `BrokenFitError.best`). It also has the solver, tol and alpha of
        the fit, learned (whether the training loss is below that of the class
        frequencies) and badly_scaled (whether `standardize=False` left features that
        are too small or too large to learn from).
    init_losses_ : ndarray of shape (n_init,)
        The final objective of each start; inf if it overflowed, NaN if Ctrl-C or a
        callback ended the fit before it.
    validation_scores_ : list of float or None
        With early stopping, the score after each iteration of the last stage; greater
        is better.
    best_validation_score_ : float or None
        Validation score of the weights that were kept.
    best_loss_ : float or None
        The lowest objective of the last stage; None with early stopping.
    member_parameters_ : ndarray of shape (n_members, n_parameters) or None
        With `average_starts`, the parameters of each network that is averaged, with the
        dtype of X: coefs_[0].ravel(), intercepts_[0], coefs_[1].ravel(), and so on,
        with skip_coef_.ravel() last. The best one, that of `coefs_`, comes first.
    posterior_covariance_ : ndarray of shape (n_parameters, n_parameters) or None
        With `moderated`, the covariance of coefs_[0].ravel(), intercepts_[0],
        coefs_[1].ravel(), and so on, with skip_coef_.ravel() last.
    n_layers_ : int
        Number of layers, including inputs and outputs.
    n_outputs_ : int
        Number of output units: one for two classes with an element-wise activation,
        otherwise one per class or label.
    out_activation_ : str
        Name of the output activation.
    n_features_in_ : int
        Number of features of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if all columns of X have names that are strings.

    See Also
    --------
    PairedMLPClassifierCV : Chooses alpha, and the pair, by cross-validation.
    pairing_grid : All pairs as a grid for GridSearchCV.
    pairing_status : Whether a pair is natural, workable, degenerate or undefined.
    summary : What was fitted, how the fit ended, and how well it is calibrated.
    standard_errors : Standard errors of the coefficients, without hidden units.

    References
    ----------
    Dunne & Campbell (1997), "On the pairing of the softmax activation and
    cross-entropy penalty functions and the derivation of the softmax activation
    function".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skce import PairedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = PairedMLPClassifier("softmax", "least_squares", alpha=0.1, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.95
    True
    >>> clf.pairing_
    <softmax x least_squares: workable>

    Class weights, label smoothing, and the best of three starts:

    >>> params = {"hidden_layer_sizes": 5, "alpha": 1, "random_state": 0}
    >>> clf = PairedMLPClassifier(
    ...     class_weight="balanced", label_smoothing=0.1, n_init=3, **params
    ... ).fit(X, y)
    >>> clf.init_losses_.round(1)
    array([0.1, 0.1, 0.1])

    The average of ten starts:

    >>> clf = PairedMLPClassifier(n_init=10, average_starts=True, **params).fit(X, y)
    >>> clf.member_parameters_.shape
    (10, 43)

    Continue from the previous fit, with different targets:

    >>> clf.set_params(warm_start=True, label_smoothing=0).fit(X, y).n_iter_ > 0
    True

    Probabilities that take the uncertainty of the weights into account:

    >>> few = PairedMLPClassifier(**params).fit(X[::10], y[::10])
    >>> moderated = PairedMLPClassifier(moderated=True, **params).fit(X[::10], y[::10])
    >>> for clf in (few, moderated):
    ...     print(clf.predict_proba(10 * X[:1]).max().round(1))
    1.0
    0.5

    The iterations as a table, and callbacks of scikit-learn (from 1.9 on):

    >>> import pandas as pd
    >>> pd.DataFrame(few.history_).columns.tolist()
    ['loss', 'gradient_norm', 'evaluations', 'seconds']
    >>> from sklearn.callback import ProgressBar  # doctest: +SKIP
    >>> few.set_callbacks(ProgressBar()).fit(X, y)  # doctest: +SKIP
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
        coefs_init: Sequence[ArrayLike] | None = None,
        intercepts_init: Sequence[ArrayLike] | None = None,
        skip_coef_init: ArrayLike | None = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Self:
        """Fit the network to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is processed in float32, everything else in float64.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0/1 indicators (multilabel) for element-wise activations.
            The categories of an ordered pandas Categorical give the order of the
            classes for "ordinal" outputs, of which strings without an order are taken
            in that of the alphabet, with a warning; `classes_` are sorted nonetheless.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. An integer weight k equals k copies of the row, and the
            order of the rows does not matter: bit-identically up to 2048 rows, up to
            rounding beyond. (A growing sample, and beyond 2048 rows a validation split,
            draw rows by position, so there the order does matter.)
        X_val, y_val : like X and y, default=None
            Rows for early stopping. In a pipeline, `transform_input=["X_val"]` passes
            them through its steps.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.
        coefs_init, intercepts_init : list of array-like, default=None
            Initial weights, with the shapes of `coefs_` and `intercepts_`, instead of
            random ones or of a warm start. With `n_init` they are used by the first
            start.
        skip_coef_init : array-like of shape (n_features, n_outputs), default=None
            With `skip_layer`, the initial `skip_coef_`; required with the two above.
        checkpoint : path-like, default=None
            A file to which each evaluation is appended, 8 bytes per parameter. A fit
            that was ended by Ctrl-C, a crash or max_iter is resumed bit-identically by
            the same call on the same rows; a warm start from where it began. Requires
            an integer `random_state`; with one start and without a growing sample,
            max_iter, max_fun and tol may change. A file belongs to one fit: do not use
            it in a search.

        Returns
        -------
        self : PairedMLPClassifier

        Raises
        ------
        ValueError
            If a parameter, X, y or the weights are invalid. An estimator that was
            fitted before stays as it was.
        BrokenFitError
            A ValueError, if the objective overflows. Its attribute `best` is a copy of
            the estimator with the last good weights.

        Warns
        -----
        ConvergenceWarning
            If the fit ended before it converged and was not stopped early, or if it
            has learned nothing, that is, if its loss is no better than that of the
            class frequencies. Ctrl-C ends the fit with this warning and the best
            weights so far; before the first iteration, and within a search or an
            ensemble, KeyboardInterrupt is raised.
        UserWarning
            If the alphabet decides in which order "ordinal" outputs take the classes.
            If X_val has as many rows as X within a search, calibration or ensemble of
            scikit-learn, which slice every array that is as long as X.

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

        With a scorer; from given weights; and with a checkpoint:

        >>> clf.set_params(scoring="neg_log_loss").fit(X, y).best_validation_score_ > -1
        True
        >>> start = {"coefs_init": clf.coefs_, "intercepts_init": clf.intercepts_}
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     clf = clf.fit(X, y, **start, checkpoint=f"{folder}/checkpoint")
        """
        weights = None if sample_weight is None else {"sample_weight": sample_weight}
        events = {"X": X, "y": y, "metadata": weights}
        validation = X_val, y_val, sample_weight_val
        start = coefs_init, intercepts_init, skip_coef_init
        encode_y = partial(encode, order=ordered_categories(y))
        y = as_labels(y)
        given = Given(X, y, sample_weight, validation, start, encode_y, events)
        self._fit(given, checkpoint)
        return self

    def fit_targets(
        self,
        X: Any,
        targets: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        X_val: Any = None,
        targets_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        coefs_init: Sequence[ArrayLike] | None = None,
        intercepts_init: Sequence[ArrayLike] | None = None,
        skip_coef_init: ArrayLike | None = None,
        checkpoint: str | PathLike[str] | None = None,
    ) -> Self:
        """Fit the network to soft targets: a probability for each row and class.

        Use it for labels by several annotators, for the predictions of another model,
        or for proportions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        targets : array-like of shape (n_samples, n_classes)
            Rows of probabilities. Each row is divided by its sum, which may differ from
            1 by rounding: by up to 1e-6, or 3e-4 in float32.
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            Labels of the columns, for `predict`; 0, ..., n_classes - 1 by default. Of
            "ordinal" outputs their order is that of labels in `fit`.
        X_val, targets_val, sample_weight_val : default=None
            Rows for early stopping, like X and targets.
        coefs_init, intercepts_init, skip_coef_init, checkpoint : default=None
            As in `fit`.

        Returns
        -------
        self : PairedMLPClassifier

        Raises
        ------
        ValueError
            As in `fit`; also if the targets are not probabilities, or if class_weight
            is set, which requires a single class per row.

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
                "class_weight is not defined for soft targets, because a row has no "
                "single class: pass sample_weight instead."
            )

        def encode_given(targets, activation):
            return encode_targets(targets, classes, activation)

        events = {"X": X}
        validation = X_val, targets_val, sample_weight_val
        start = coefs_init, intercepts_init, skip_coef_init
        given = Given(
            X, targets, sample_weight, validation, start, encode_given, events
        )
        self._fit(given, checkpoint)
        return self

    def _problem(self, given, executor, random_state):
        """Make the Problem of rows in memory; set `n_features_in_`."""
        pairing, network_for = self._architecture()
        X, y = check_training_rows(self, given.X, given.y)
        labels, codes = given.encode(y, pairing.activation)
        weights = check_weights(given.sample_weight, X.shape[0])
        # so that weights equal repetitions, and the order of rows is of no effect, to
        # the last bit: before anything depends on the number or the order of the rows
        data = merge_duplicates(Data(dense_if_small(X), codes, *weights))
        # "balanced" is over all rows, those held out included
        factors = class_factors(
            self.class_weight, labels, partial(class_totals, data, labels)
        )
        held_out = given_validation(self, given.validation, labels)
        if held_out is not None and held_out.data.n_rows == X.shape[0]:
            warn_if_cut(X.shape[0])
        if self.early_stopping and held_out is None:
            # else the weights of `data` count duplicates
            weighted = given.sample_weight is not None
            data, held_out = split_data(
                data, self.validation_fraction, random_state, weighted
            )
        if held_out is not None:
            held_out = replace(held_out, factors=factors)
        frequencies = partial(data.class_frequencies, labels.n_outputs)
        network = network_for(X.shape[1], labels, frequencies, data.is_sparse)
        if self.moderated:
            check_moderated(network, self.alpha)
        encoding = labels.encoding(pairing.activation, self.label_smoothing)
        rows = LocalRows(network, weigh_data(data, factors), encoding, executor)
        standardization = Standardization.of(rows.moments) if self.standardize else None
        alpha = float(self.alpha)
        return Problem(
            network, labels, rows, encoding, alpha, standardization, held_out
        )
