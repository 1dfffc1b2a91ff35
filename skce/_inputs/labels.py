"""Labels: from y to integer codes or targets, and back."""

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skce._network.data import Encoding
from skce._support.warn import warn

__all__ = [
    "Labels",
    "as_labels",
    "check_kind",
    "class_labels",
    "encode",
    "encode_targets",
    "indicator_labels",
    "kind_of_labels",
    "labels_with_order",
    "ordered_categories",
    "warn_of_order",
]


# More labels are sorted in parts: the sort and the codes of 10 million take 300 MB
ROWS_AT_A_TIME = 2**18


@dataclass(frozen=True)
class Labels:
    """What the outputs of a network stand for, and the codes of labels.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels; 0 ... n_labels - 1 for a multilabel y.
    n_outputs : int
        Output units: one for two classes and element-wise activations, else one per
        class or label.
    multilabel : bool
    columns : ndarray of shape (n_classes,) or None
        For soft targets, the labels in the order of their columns.
    order : ndarray or None
        The categories of an ordered y.
    """

    classes: np.ndarray
    n_outputs: int
    multilabel: bool = False
    columns: np.ndarray | None = None
    order: np.ndarray | None = None

    @property
    def soft(self):
        """Whether the targets are probabilities."""
        return self.columns is not None

    def encoding(self, activation, smoothing=0.0):
        """Return the `Encoding` of the targets, with label smoothing."""
        n_values = 2 if activation.elementwise else self.n_outputs
        return Encoding(self.n_outputs, self.soft, float(smoothing), n_values)

    def code(self, y, name="y_val"):
        """Encode another y, called `name` in errors, whose labels are among these.

        Returns
        -------
        codes : ndarray of shape (n,) or (n, n_outputs)
            The index of each row's class; for a multilabel y the indicators, int8; for
            soft targets probabilities, float64.
        """
        if self.soft:
            return _code_targets(y, self.columns, self.n_outputs, name)
        y = as_labels(y, name)
        if self.multilabel:
            indicators = _indicators(y)
            if indicators.ndim != 2 or indicators.shape[1] != len(self.classes):
                raise ValueError(
                    f"{name} has the shape {indicators.shape}; it must have a column "
                    f"for each of the {len(self.classes)} labels of y."
                )
            return indicators.astype(np.int8)
        type_of_target(y, input_name=name)  # raises where labels are missing
        y = column_or_1d(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)
        unknown = np.setdiff1d(y, self.classes)
        if len(unknown):
            raise ValueError(
                f"{name} has the labels {unknown.tolist()}, which were not seen in "
                f"the fit; the classes are {self.classes.tolist()}."
            )
        return np.searchsorted(self.classes, y)

    def decode(self, codes):
        """Return the labels of some codes; of soft targets the likeliest class."""
        if self.soft:
            one_unit = codes.shape[1] == 1
            best = codes[:, 0] > 0.5 if one_unit else codes.argmax(axis=1)
            return self.classes[best.astype(int)]
        return codes if self.multilabel else self.classes[codes]


def as_labels(y, name="y"):
    """Return labels as an array, or as they are if they are sparse or None.

    A nullable column gives the dtype that it has without the missing values: bool, int,
    float or str.

    Parameters
    ----------
    y : array-like, sparse matrix or None
    name : str
        For errors.

    Raises
    ------
    ValueError
        If labels are missing, or are objects that scikit-learn does not take for
        labels, as bytes.
    """
    if y is None or sparse.issparse(y):
        return y
    try:
        labels = np.asarray(y)
    except ValueError:  # rows of several lengths: type_of_target names the remedy
        return y
    if isinstance(y, list | tuple) and labels.dtype.kind in "SU":
        # as an array of strings, it has turned NaN into one
        _check_present(np.array(y, dtype=object), name)
    if labels.dtype == object and labels.ndim == 2 and hasattr(y, "iloc"):
        columns = [np.asarray(y.iloc[:, j]) for j in range(labels.shape[1])]
        labels = np.column_stack(columns)
    _check_present(labels, name)
    if labels.dtype.kind in "OS":
        _check_objects(labels, name)
    return labels


def _check_present(labels, name):
    """Raise a ValueError if labels are missing."""
    if labels.dtype.kind in "fM":
        missing = np.isnan(labels)
    elif labels.dtype == object:
        flat = [_is_missing(label) for label in labels.ravel()]
        missing = np.reshape(flat, labels.shape)
    else:
        return
    if missing.any():
        raise ValueError(
            f"{name} has missing labels (None, NaN or NA), the first in row "
            f"{np.nonzero(missing)[0][0]}: drop the rows without a label."
        )


def _check_objects(labels, name):
    """Raise a ValueError unless all labels are strings."""
    types = {type(label) for label in labels.ravel()}
    if all(issubclass(kind, str) for kind in types):
        return
    if all(issubclass(kind, bytes) for kind in types):
        raise ValueError(
            f"{name} has bytes as labels, but labels must be strings, integers or "
            f"bools: decode them with np.char.decode(np.asarray({name}, dtype='S'))."
        )
    names = " and ".join(sorted(kind.__name__ for kind in types))
    if all(issubclass(kind, bool | np.bool_) for kind in types):
        advice = f"pass {name}.astype(bool)"
    elif all(issubclass(kind, Integral) for kind in types):
        advice = f"pass {name}.astype(int)"
    elif all(issubclass(kind, Real) for kind in types):
        advice = f"pass {name}.astype(float)"
    else:
        advice = f"pass {name}.astype(str)"
    raise ValueError(
        f"{name} has labels of type {names} in an array of dtype object, where "
        f"labels must be strings (Unknown label type): {advice}."
    )


def _is_missing(label):
    try:
        return label is None or not bool(label == label)  # NaN and NaT are not
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # an array
        return False


def kind_of_labels(y):
    """Return scikit-learn's type of target.

    Raises
    ------
    ValueError
        If labels are missing.
    """
    return type_of_target(as_labels(y), input_name="y")


def check_kind(y):
    """Return scikit-learn's type of target, if it is one of labels.

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
            "type: multiclass-multioutput): fit one classifier per column, for "
            "instance with sklearn.multioutput.MultiOutputClassifier."
        )
    return kind


def ordered_categories(y):
    """Return the categories of an ordered pandas Categorical, as an array, or None."""
    if getattr(y, "ndim", 1) == 2 and hasattr(y, "iloc") and y.shape[1] == 1:
        y = y.iloc[:, 0]
    kind = getattr(y, "dtype", None)
    categories = getattr(kind, "categories", None)
    return np.asarray(categories) if getattr(kind, "ordered", False) else None


def labels_with_order(y):
    """Return labels to be split by rows, as `as_labels` does.

    Ordered ones as a pandas object, which keeps the order in every part.
    """
    labels = as_labels(y)
    if ordered_categories(y) is None:
        return labels
    if hasattr(y, "iloc"):
        return y
    from pandas import Series  # y is of pandas

    return Series(y)


def warn_of_order(classes, order, activations):
    """Warn if the alphabet decides in which order activations take the classes."""
    texts = classes.dtype.kind in "OSUT" and len(classes) > 2
    if not texts or order is not None:
        return
    if any(f.ordered and getattr(f, "order", None) is None for f in activations):
        names = classes.tolist()
        warn(
            f"The classes are taken in the order of the alphabet, {names}, from the "
            "lowest to the highest. If that is not theirs, pass y as an ordered pandas "
            "Categorical or as integers, or set activation=Ordinal(order=[...]); if it "
            f"is, Ordinal(order={names}) silences this warning.",
            UserWarning,
        )


def encode(y, activation, order=None):
    """Encode y for the outputs of `activation`; `order` is that of its categories.

    Returns
    -------
    labels : Labels
    codes : ndarray of shape (n,) or (n, n_labels)
        See `Labels.code`.

    Raises
    ------
    ValueError
        If y is continuous, has one class, has several columns that are not
        indicators, or is multilabel and the activation is not element-wise.
    """
    if check_kind(y) == "multilabel-indicator":
        return _encode_indicators(y, activation)
    y = column_or_1d(y, warn=True)
    if len(y) > ROWS_AT_A_TIME:
        classes, codes = _unique_in_parts(y)
    else:
        classes, codes = np.unique(y, return_inverse=True)
    return class_labels(classes, activation, order), codes


def class_labels(classes, activation, order=None):
    """Return the Labels of sorted classes; `order` is that of the categories of y.

    Raises
    ------
    ValueError
        If there is one class only.
    """
    if len(classes) < 2:
        raise ValueError(
            f"y has only one class, {classes.tolist()}: a classifier needs rows of at "
            "least two classes."
        )
    one_unit = activation.elementwise and len(classes) == 2
    return Labels(classes, 1 if one_unit else len(classes), order=order)


def _parts(y):
    """Slices of at most `ROWS_AT_A_TIME` rows."""
    return [slice(i, i + ROWS_AT_A_TIME) for i in range(0, len(y), ROWS_AT_A_TIME)]


def _unique_in_parts(y):
    """np.unique(y, return_inverse=True) with narrow codes, in little memory."""
    parts = _parts(y)
    classes = np.unique(np.concatenate([np.unique(y[part]) for part in parts]))
    codes = np.empty(len(y), dtype=np.min_scalar_type(-len(classes)))
    for part in parts:
        codes[part] = np.searchsorted(classes, y[part])
    return classes, codes


def _indicators(y):
    """Return y as an array, all of whose entries are 0 or 1."""
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
    one_hot = bool(np.all(indicators.sum(axis=1) == 1))
    labels = indicator_labels(y.shape, one_hot, activation)
    return labels, indicators.astype(np.int8)


def indicator_labels(shape, one_hot, activation):
    """Return the Labels of a multilabel y.

    Parameters
    ----------
    shape : tuple of int
        Of y.
    one_hot : bool
        Whether each row has one label.
    activation : Activation

    Raises
    ------
    ValueError
        If the activation is not element-wise.
    """
    if not activation.elementwise:
        hint = " If y is one-hot, fit y.argmax(axis=1) instead." if one_hot else ""
        raise ValueError(
            f"y is multilabel (indicators of shape {shape}), but the outputs of "
            f"activation={activation.name!r} sum to 1 in each row, as for mutually "
            "exclusive classes. Use activation='logistic' (or 'identity'), where each "
            f"label has its own output.{hint}"
        )
    return Labels(np.arange(shape[1]), shape[1], multilabel=True)


def encode_targets(targets, classes, activation):
    """Encode soft targets, (n, q): rows of probabilities.

    Returns
    -------
    labels : Labels
    codes : ndarray of shape (n, n_outputs)

    Raises
    ------
    ValueError
        If they are not probabilities, or `classes` does not match them.
    """
    if np.ndim(targets) != 2:
        raise ValueError(
            f"targets has the shape {np.shape(targets)}; it must be (n_samples, "
            "n_classes), rows of probabilities. For labels use fit."
        )
    q, order = np.shape(targets)[1], ordered_categories(classes)
    classes = np.arange(q) if classes is None else np.asarray(classes)
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError(f"classes={classes.tolist()} must be distinct labels.")
    n_outputs = 1 if activation.elementwise and len(classes) == 2 else len(classes)
    codes = _code_targets(targets, classes, n_outputs, "targets")
    return Labels(np.sort(classes), n_outputs, columns=classes, order=order), codes


def _code_targets(targets, columns, n_outputs, name):
    """Sort the columns of soft targets by class; of one unit, keep the second alone."""
    floats = (np.float64, np.float32, np.float16)
    targets = check_array(targets, dtype=floats, input_name=name)
    # what rounding can do to probabilities of this dtype
    tolerance = max(1e-6, float(np.sqrt(np.finfo(targets.dtype).eps)))
    targets = targets.astype(np.float64)
    q = targets.shape[1]
    if q < 2 or q != len(columns):
        raise ValueError(
            f"{name} has {q} columns; it must have one for each of the classes "
            f"{columns.tolist()}, of which there must be at least two."
        )
    if targets.min() < 0:
        raise ValueError(
            f"{name} must be probabilities, but the smallest entry is "
            f"{targets.min():g}."
        )
    sums = targets.sum(axis=1, keepdims=True)
    off = np.abs(sums - 1).max()
    if off > tolerance:
        raise ValueError(
            f"{name} must be probabilities, but the sum of a row differs from 1 by up "
            f"to {off:g}: divide each row by its sum."
        )
    targets = (targets / sums)[:, np.argsort(columns)]
    return targets[:, 1:] if n_outputs == 1 else targets
