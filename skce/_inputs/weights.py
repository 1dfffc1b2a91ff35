"""class_weight: the weights of the rows times those of their classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from skce._inputs.validation import total

__all__ = ["ClassFactors", "class_factors", "factors_of", "mass", "weigh_classes"]


def mass(rows):
    """The weight of rows (X, codes, weights); their number if they have none."""
    _, codes, weights = rows
    return float(len(codes)) if weights is None else total(weights)


def weigh_classes(rows, factors):
    """Rows (X, codes, weights) with their weights times those of their classes.

    Raises
    ------
    ValueError
        If nothing is left.
    """
    X, codes, weights = rows
    if factors is not None:
        of_classes = factors(codes)
        if weights is not None:
            with np.errstate(over="ignore"):
                of_classes *= weights
        weights = of_classes
    if weights is not None and not 0 < mass((X, codes, weights)) < np.inf:
        raise ValueError(
            "sample_weight times class_weight is zero for every row, or overflows: at "
            "least one row must weigh something."
        )
    return X, codes, weights


def class_factors(class_weight, labels, codes, weights):
    """From codes to the weights of their classes.

    Parameters
    ----------
    class_weight : "balanced", dict or list of dict
        "balanced": W / (q W_k) for class k, where W_k is the weight of its rows and W
        that of all q classes that have any. A dict maps labels to weights, 1 if
        missing. For a multilabel y, the product over the labels of the weights of 0
        and 1: "balanced", or a list with a dict {0: ..., 1: ...} a label.
    labels : Labels
    codes : ndarray of shape (n,) or (n, n_labels)
    weights : ndarray of shape (n,) or None

    Returns
    -------
    factors : ClassFactors

    Raises
    ------
    ValueError
        If a weight is negative, not finite or for an unknown class.
    """
    masses = None
    if _is_balanced(class_weight):
        masses = [
            _masses(column, len(classes), weights)
            for column, classes in zip(_columns(codes), _known(labels), strict=True)
        ]
    return factors_of(class_weight, labels, masses)


def factors_of(class_weight, labels, masses):
    """`class_factors` from the weights of the rows of each class.

    Parameters
    ----------
    class_weight : "balanced", dict or list of dict
    labels : Labels
    masses : list of ndarray of shape (n_classes,) or (2,), or None
        One array; for a multilabel y one a label, of its values 0 and 1. For
        "balanced" only.

    Returns
    -------
    factors : ClassFactors
    """
    if _is_balanced(class_weight):
        return ClassFactors([_balanced(mass) for mass in masses])
    return ClassFactors(_given(class_weight, labels, _known(labels)))


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
        """The weight of each row, (n,)."""
        if len(self.tables) == 1 and codes.ndim == 1:
            return self.tables[0][codes]
        pairs = zip(self.tables, _columns(codes), strict=True)
        with np.errstate(over="ignore"):
            return np.prod([table[column] for table, column in pairs], axis=0)


def _is_balanced(class_weight):
    return isinstance(class_weight, str) and class_weight == "balanced"


def _known(labels):
    """The labels of each column of the codes."""
    if labels.multilabel:
        return [np.array([0, 1])] * labels.n_outputs
    return [labels.classes]


def _columns(codes):
    """Integer codes of the classes, or of each label."""
    return [codes] if codes.ndim == 1 else np.asarray(codes).T.astype(int)


def _masses(codes, n_classes, weights):
    """The weight of the rows of each class."""
    if weights is None:
        return np.bincount(codes, minlength=n_classes).astype(float)
    return np.array([total(weights[codes == k]) for k in range(n_classes)])


def _balanced(mass):
    """The weight of each class."""
    there = mass > 0
    table = np.zeros(len(mass))
    table[there] = mass.sum() / (there.sum() * mass[there])
    return table


def _given(class_weight, labels, known):
    is_list = isinstance(class_weight, list | tuple)
    mappings = class_weight if is_list and labels.multilabel else [class_weight]
    right = all(isinstance(mapping, Mapping) for mapping in mappings)
    if not right or len(mappings) != len(known):
        wanted = (
            f"a list of {len(known)} dicts {{0: weight, 1: weight}}, one a label"
            if labels.multilabel
            else "a dict from labels to weights"
        )
        raise ValueError(
            f"class_weight={class_weight!r} must be None, 'balanced' or {wanted}."
        )
    tables = []
    for mapping, classes in zip(mappings, known, strict=True):
        table = np.ones(len(classes))
        for label, weight in mapping.items():
            place = np.flatnonzero(classes == label)
            if len(place) == 0 and not all(label in mapping for label in classes):
                raise ValueError(
                    f"class_weight has the label {label!r}, which y does not have, and "
                    f"lacks some that it has; the labels of y are {classes.tolist()}."
                )
            if not (isinstance(weight, Real) and 0 <= weight < np.inf):
                raise ValueError(
                    f"class_weight of {label!r} is {weight!r}; it must be a finite "
                    "number of at least 0."
                )
            table[place] = weight
        tables.append(table)
    return tables
