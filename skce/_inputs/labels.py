"""Labels: from y to integer codes or targets, and what the outputs mean for them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skce._network.blocks import SOFT

__all__ = [
    "Labels",
    "check_kind",
    "class_frequencies",
    "encode",
    "encode_targets",
    "fitted_labels",
    "kind_of_labels",
]


# More labels are sorted in parts: the sort and the codes of 10 million take 300 MB
MOST_AT_ONCE = 2**18


@dataclass(frozen=True)
class Labels:
    """An encoded y.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels; 0 ... n_labels - 1 for a multilabel y.
    codes : ndarray of shape (n,) or (n, n_outputs)
        Index of each row's class; for a multilabel y the indicators; float64 for soft
        targets.
    n_outputs : int
        Output units: one for two classes where each unit answers for itself,
        else one a class or label.
    multilabel : bool
    columns : ndarray of shape (n_classes,) or None
        For soft targets, the labels in the order of their columns.
    """

    classes: np.ndarray
    codes: np.ndarray
    n_outputs: int
    multilabel: bool
    columns: np.ndarray | None = None

    def code(self, y, name="y_val"):
        """Codes of another y, of that name, whose labels must be among these."""
        if self.columns is not None:
            return _code_targets(y, self.columns, self.n_outputs, name)
        if self.multilabel:
            indicators = _indicators(y)
            if indicators.ndim != 2 or indicators.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} has the shape {indicators.shape}; it must have a column "
                    f"for each of the {len(self.classes)} labels of y."
                )
            return indicators.astype(np.int8)
        kind_of_labels(y)  # raises where labels are missing
        y = np.asarray(y)
        y = column_or_1d(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"{name} has the labels {unknown.tolist()}, which the fit does not "
                f"know; its classes are {self.classes.tolist()}."
            )
        return np.searchsorted(self.classes, y)

    def decode(self, codes):
        """The labels of some codes; of soft targets the likeliest class."""
        if codes.dtype == SOFT:
            one_unit = codes.shape[1] == 1
            best = codes[:, 0] > 0.5 if one_unit else codes.argmax(axis=1)
            return self.classes[best.astype(int)]
        return codes if self.multilabel else self.classes[codes]


def fitted_labels(estimator):
    """The Labels of a fitted estimator, without codes, for those of another y."""
    return Labels(
        estimator.classes_,
        np.empty(0, dtype=np.intp),
        estimator.n_outputs_,
        estimator._multilabel,
        estimator._columns,
    )


def kind_of_labels(y):
    """scikit-learn's type of target.

    Raises
    ------
    ValueError
        If labels are missing.
    """
    try:
        return type_of_target(y, input_name="y")
    except TypeError as error:  # None or NaN among strings, which do not compare
        raise ValueError(
            "y holds labels that cannot be sorted, as where some are missing (None or "
            f"NaN among strings: {error}). Drop the rows without a label."
        ) from error


def check_kind(y):
    """scikit-learn's type of target, if it is one of labels.

    Raises
    ------
    ValueError
        If y is continuous, lacks labels or has several columns that are not indicators.
    """
    kind = kind_of_labels(y)
    if kind == "continuous-multioutput":
        raise ValueError(
            f"y has {np.shape(y)[1]} columns of numbers (Unknown label type: {kind}): "
            "fit_targets takes rows of probabilities, fit takes labels."
        )
    check_classification_targets(y)
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"y has {y.shape[1]} columns that are not 0/1 indicators (Unknown label "
            "type: multiclass-multioutput): fit one classifier a column, for instance "
            "with sklearn.multioutput.MultiOutputClassifier."
        )
    return kind


def encode(y, activation):
    """The labels of y for the outputs of `activation`.

    Raises
    ------
    ValueError
        If y is continuous, has one class, has several columns that are not
        indicators, or is multilabel and the activation is not element-wise.
    """
    if check_kind(y) == "multilabel-indicator":
        return _encode_indicators(y, activation)
    y = column_or_1d(y, warn=True)
    if len(y) > MOST_AT_ONCE:
        classes, codes = _unique_in_parts(y)
    else:
        classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()}: a classifier needs rows of at "
            "least two classes."
        )
    one_unit = activation.elementwise and len(classes) == 2
    return Labels(classes, codes, 1 if one_unit else len(classes), multilabel=False)


def _parts(y):
    """Slices of at most `MOST_AT_ONCE` rows."""
    return [slice(i, i + MOST_AT_ONCE) for i in range(0, len(y), MOST_AT_ONCE)]


def _unique_in_parts(y):
    """np.unique(y, return_inverse=True) with narrow codes, in little memory."""
    parts = _parts(y)
    classes = np.unique(np.concatenate([np.unique(y[part]) for part in parts]))
    codes = np.empty(len(y), dtype=np.min_scalar_type(-len(classes)))
    for part in parts:
        codes[part] = np.searchsorted(classes, y[part])
    return classes, codes


def class_frequencies(codes, weights, n_outputs):
    """The mean target of each output over the weighted rows, shape (n_outputs,)."""
    if codes.ndim == 2:
        return np.average(codes, axis=0, weights=weights)
    counts = np.zeros(max(n_outputs, 2))
    for part in _parts(codes):  # of which bincount makes copies
        of_part = None if weights is None else weights[part]
        counts += np.bincount(codes[part], weights=of_part, minlength=len(counts))
    return counts[-n_outputs:] / counts.sum()


def _indicators(y):
    """y as an array, all of whose entries are 0 or 1."""
    indicators = y.toarray() if sparse.issparse(y) else np.asarray(y)
    values = np.unique(indicators)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"y is multilabel, with the values {values[:10].tolist()}: its entries "
            "must be indicators, 0 or 1 (or False and True)."
        )
    return indicators


def _encode_indicators(y, activation):
    indicators = _indicators(y)
    if not activation.elementwise:
        one_hot = np.all(indicators.sum(axis=1) == 1)
        hint = " If y is one-hot, fit y.argmax(axis=1) instead." if one_hot else ""
        raise ValueError(
            f"y is multilabel (indicators of shape {y.shape}), but the outputs of "
            f"activation={activation.name!r} sum to 1 in each row, as for classes that "
            "exclude each other. Take activation='logistic' (or 'identity'), where "
            f"each label has an output of its own.{hint}"
        )
    n_labels = indicators.shape[1]
    codes = indicators.astype(np.int8)  # float64 are soft targets
    return Labels(np.arange(n_labels), codes, n_labels, multilabel=True)


def encode_targets(targets, classes, activation):
    """The labels of soft targets, (n, q): rows of probabilities.

    Raises
    ------
    ValueError
        If they are no probabilities, or classes do not go with them.
    """
    if np.ndim(targets) != 2:
        raise ValueError(
            f"targets has the shape {np.shape(targets)}; it must be (n_samples, "
            "n_classes), rows of probabilities. For labels take fit."
        )
    q = np.shape(targets)[1]
    classes = np.arange(q) if classes is None else np.asarray(classes)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError(f"classes={classes.tolist()} must be different labels.")
    n_outputs = 1 if activation.elementwise and len(classes) == 2 else len(classes)
    codes = _code_targets(targets, classes, n_outputs, "targets")
    return Labels(np.sort(classes), codes, n_outputs, False, classes)


def _code_targets(targets, columns, n_outputs, name):
    """Soft targets in the order of the sorted classes; of one unit the second alone."""
    targets = check_array(targets, dtype=SOFT, input_name=name)
    q = targets.shape[1]
    if q < 2 or q != len(columns):
        raise ValueError(
            f"{name} has {q} columns; it must have one for each of the classes "
            f"{columns.tolist()}, at least two."
        )
    if targets.min() < 0:
        raise ValueError(
            f"{name} must be probabilities, but the least is {targets.min():g}."
        )
    off = np.abs(targets.sum(axis=1) - 1).max()
    if off > 1e-6:
        raise ValueError(
            f"{name} must be probabilities, but the sum of a row is off 1 by up to "
            f"{off:g}: divide each row by its sum."
        )
    targets = targets[:, np.argsort(columns)]
    return targets[:, 1:] if n_outputs == 1 else targets
