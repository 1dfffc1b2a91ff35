"""Labels: from y to integer codes or targets, and what the outputs mean for them."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skce.blocks import SOFT

__all__ = [
    "Labels",
    "check_kind",
    "class_frequencies",
    "encode",
    "encode_targets",
    "kind_of_labels",
]


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
    """

    classes: np.ndarray
    codes: np.ndarray
    n_outputs: int
    multilabel: bool

    def code(self, y):
        """Codes of another y, whose labels must be among these."""
        if self.multilabel:
            indicators = _indicators(y)
            if indicators.ndim != 2 or indicators.shape[1] != len(self.classes):
                raise ValueError(
                    f"y_val has the shape {indicators.shape}; it must have a column "
                    f"for each of the {len(self.classes)} labels of y."
                )
            return indicators.astype(np.int8)
        kind_of_labels(y)  # raises where labels are missing
        y = column_or_1d(y)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"y_val has the labels {unknown.tolist()}, which y does not have; its "
                f"classes are {self.classes.tolist()}."
            )
        return np.searchsorted(self.classes, y)

    def decode(self, codes):
        """The labels of some codes; of soft targets the likeliest class."""
        if codes.dtype == SOFT:
            one_unit = codes.shape[1] == 1
            best = codes[:, 0] > 0.5 if one_unit else codes.argmax(axis=1)
            return self.classes[best.astype(int)]
        return codes if self.multilabel else self.classes[codes]


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
    classes, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y has one class only, {classes.tolist()}: a classifier needs rows of at "
            "least two classes."
        )
    one_unit = activation.elementwise and len(classes) == 2
    return Labels(classes, codes, 1 if one_unit else len(classes), multilabel=False)


def class_frequencies(codes, weights, n_outputs):
    """The mean target of each output over the weighted rows, shape (n_outputs,)."""
    if codes.ndim == 2 or n_outputs == 1:
        return np.atleast_1d(np.average(codes, axis=0, weights=weights))
    counts = np.bincount(codes, weights=weights, minlength=n_outputs)
    return counts / counts.sum()


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
    targets = check_array(targets, dtype=SOFT, input_name="targets")
    q = targets.shape[1]
    if q < 2:
        raise ValueError(f"targets has {q} column; it must have one a class.")
    off = np.abs(targets.sum(axis=1) - 1).max()
    if targets.min() < 0 or off > 1e-6:
        raise ValueError(
            f"targets must be probabilities; the least is {targets.min():g}, and the "
            f"sum of a row is off 1 by up to {off:g}. Divide each row by its sum."
        )
    classes = np.arange(q) if classes is None else np.asarray(classes)
    if classes.shape != (q,) or len(np.unique(classes)) != q:
        raise ValueError(
            f"classes={classes.tolist()} must be {q} different labels, one a column of "
            "targets."
        )
    order = np.argsort(classes)
    targets = targets[:, order]
    if activation.elementwise and q == 2:
        return Labels(classes[order], targets[:, 1:], 1, multilabel=False)
    return Labels(classes[order], targets, q, multilabel=False)
