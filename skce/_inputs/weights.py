"""Weights of rows: sample weights times class weights."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from sklearn.utils import check_array

from skce._network.data import total

__all__ = [
    "ClassFactors",
    "check_total",
    "check_weights",
    "class_factors",
    "class_totals",
    "weigh",
    "weigh_data",
]


def check_weights(sample_weight, n_rows):
    """Validate sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
    n_rows : int

    Returns
    -------
    weights : ndarray of shape (n,) or None
        float64, times the power of two that brings the largest into [1/2, 1): neither
        their sum nor their mean overflows, and no digit is lost.
    exponent : int
        The weights as given are weights * 2^exponent.

    Raises
    ------
    ValueError
        If the weights are negative, all zero, not finite or of the wrong length.
    """
    if sample_weight is None:
        return None, 0
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(
            f"sample_weight has the shape {weights.shape}; it must be 1D, one weight "
            "per row."
        )
    if len(weights) != n_rows:
        raise ValueError(
            f"sample_weight has {len(weights)} weights, but there are {n_rows} rows: "
            "it must have one for each."
        )
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight has negative values (the smallest is {weights.min():g}); a "
            "weight must be 0 or more."
        )
    if weights.max() == 0:
        raise ValueError(
            "sample_weight is zero for every row: at least one weight must be positive."
        )
    exponent = int(np.frexp(weights.max())[1])
    return np.ldexp(weights, -exponent), exponent


def weigh(codes, weights, factors):
    """Multiply weights, or None for 1, by those of the classes, or None for 1."""
    if factors is None:
        return weights
    of_classes = factors(codes)
    if weights is None:
        return of_classes
    with np.errstate(over="ignore"):
        return of_classes * weights


def weigh_data(data, factors):
    """Multiply the weights of data by those of their classes.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    data = replace(data, weights=weigh(data.codes, data.weights, factors))
    check_total(data.scaled_weight)
    return data


def check_total(weight):
    """Raise a ValueError unless a sum of weights is a positive number."""
    if not 0 < weight < np.inf:
        raise ValueError(
            "sample_weight times class_weight is zero for every row, or overflows: at "
            "least one row must have a positive weight."
        )


@dataclass(frozen=True)
class ClassFactors:
    """From codes to the weights of their classes, (n,).

    Attributes
    ----------
    tables : list of ndarray
        The weights of the classes, or for each label those of 0 and 1.
    """

    tables: list

    def __call__(self, codes):
        """Return the weight of each row, (n,)."""
        if len(self.tables) == 1 and codes.ndim == 1:
            return self.tables[0][codes]
        pairs = zip(self.tables, _columns(codes), strict=True)
        with np.errstate(over="ignore"):
            return np.prod([table[column] for table, column in pairs], axis=0)


def class_factors(class_weight, labels, class_totals):
    """Return the weights of the classes.

    Parameters
    ----------
    class_weight : None, "balanced", dict or list of dict
        "balanced": W / (q W_k) for class k, where W_k is the weight of its rows and W
        that of all q classes that have any. A dict maps labels to weights, 1 if
        missing. For a multilabel y, the product over the labels of the weights of 0
        and 1: "balanced", or a list with one dict {0: ..., 1: ...} per label.
    labels : Labels
    class_totals : callable
        Returns a list of arrays, the weight of the rows of each class; for a multilabel
        y one array per label, for its values 0 and 1. Is called for "balanced" only.

    Returns
    -------
    factors : ClassFactors or None

    Raises
    ------
    ValueError
        If a weight is negative, not finite or for an unknown class.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        return ClassFactors([_balanced(totals) for totals in class_totals()])
    return ClassFactors(_tables(class_weight, labels))


def class_totals(data, labels):
    """Weight of the rows of each class, for `class_factors`."""
    known = zip(_columns(data.codes), _known(labels), strict=True)
    return [_totals(column, len(values), data.weights) for column, values in known]


def _known(labels):
    """The values of each column of the codes."""
    if labels.multilabel:
        return [np.array([0, 1])] * labels.n_outputs
    return [labels.classes]


def _columns(codes):
    """Integer codes of the classes, or of each label."""
    return [codes] if codes.ndim == 1 else np.asarray(codes).T.astype(int)


def _totals(codes, n_classes, weights):
    if weights is None:
        return np.bincount(codes, minlength=n_classes).astype(float)
    return np.array([total(weights[codes == k]) for k in range(n_classes)])


def _balanced(totals):
    """W / (q W_k); 0 for a class without rows."""
    present = totals > 0
    table = np.zeros(len(totals))
    table[present] = totals.sum() / (present.sum() * totals[present])
    return table


def _tables(class_weight, labels):
    """Tables of `ClassFactors` from dicts."""
    known = _known(labels)
    is_list = isinstance(class_weight, list | tuple)
    mappings = class_weight if is_list and labels.multilabel else [class_weight]
    right = all(isinstance(mapping, Mapping) for mapping in mappings)
    if not right or len(mappings) != len(known):
        wanted = (
            f"a list of {len(known)} dicts {{0: weight, 1: weight}}, one per label"
            if labels.multilabel
            else "a dict of labels to weights"
        )
        raise ValueError(
            f"class_weight={class_weight!r} must be None, 'balanced' or {wanted}."
        )
    return [_table(*pair) for pair in zip(mappings, known, strict=True)]


def _table(mapping, classes):
    table = np.ones(len(classes))
    for label, weight in mapping.items():
        place = np.flatnonzero(classes == label)
        if len(place) == 0 and not all(label in mapping for label in classes):
            raise ValueError(
                f"class_weight has the label {label!r}, which is not in y, and lacks "
                f"some of the labels of y, {classes.tolist()}."
            )
        if not (isinstance(weight, Real) and 0 <= weight < np.inf):
            raise ValueError(
                f"class_weight of {label!r} is {weight!r}; it must be a finite number "
                "of at least 0."
            )
        table[place] = weight
    return table
