"""The candidates of a search: pairs, layer sizes and alphas."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from skce._inputs.validation import check_layer_sizes, is_integer
from skce.inspection._candidates import Pair, default_pairs, named_pairs
from skce.losses.pairings import Pairing, pair

__all__ = ["Candidate", "Group", "check_alphas", "groups_of", "layer_sizes_of"]

# Half a decade apart: the next alpha changes the held-out loss by about its standard
# error, and the default of PairedMLPClassifier lies well inside
DEFAULT_ALPHAS = np.logspace(-2, 2, 9)


@dataclass(frozen=True, eq=False)
class Group:
    """Candidates that differ in alpha alone.

    Attributes
    ----------
    pair : (activation, penalty)
        As given.
    pairing : Pairing
    hidden_layer_sizes : tuple of int
    """

    pair: Pair
    pairing: Pairing
    hidden_layer_sizes: tuple[int, ...]

    def params(self, alpha: float) -> dict[str, Any]:
        """Return the parameters of PairedMLPClassifier for an alpha."""
        activation, penalty = self.pair
        return {
            "activation": activation,
            "penalty": penalty,
            "hidden_layer_sizes": self.hidden_layer_sizes,
            "alpha": alpha,
        }


@dataclass(frozen=True, eq=False)
class Candidate:
    """A group and an alpha."""

    group: Group
    alpha: float

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of PairedMLPClassifier."""
        return self.group.params(self.alpha)

    def __str__(self) -> str:
        sizes = self.group.hidden_layer_sizes
        return f"{self.group.pairing}, hidden layers {sizes}, alpha={self.alpha:.3g}"


def check_alphas(alphas: Any) -> list[float]:
    """Return the alphas as a sorted list; None stands for the default ones.

    Raises
    ------
    ValueError
        If they are no different finite numbers of at least 0.
    """
    try:
        values = np.asarray(DEFAULT_ALPHAS if alphas is None else alphas, dtype=float)
        right = values.ndim == 1 and len(np.unique(values)) == len(values) > 0
        right = right and bool(np.isfinite(values).all() and values.min() >= 0)
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(
            f"alphas={alphas!r} must be a list of distinct finite numbers of at least "
            "0, such as [0.1, 1, 10], or None for nine from 0.01 to 100."
        )
    return sorted(values.tolist())


def layer_sizes_of(hidden_layer_sizes: Any) -> list[tuple[int, ...]]:
    """Return the layer sizes to choose from: one, or those of a list of several.

    Raises
    ------
    ValueError
        If a size cannot be used, or sizes are given twice.
    """
    given = hidden_layer_sizes
    several = isinstance(given, list | tuple) and not all(map(is_integer, given))
    sizes = [check_layer_sizes(each) for each in (given if several else [given])]
    if len(set(sizes)) < len(sizes):
        raise ValueError(
            f"hidden_layer_sizes={given!r} has the same sizes twice: leave one out."
        )
    return sizes


def groups_of(estimator: Any, *, multilabel: bool, ordered: bool) -> list[Group]:
    """Return the pairs times the layer sizes that an estimator chooses from.

    Raises
    ------
    ValueError
        If a pair is undefined, or one is given twice.
    """
    pairings = estimator.pairings
    if pairings is None:
        pairs = [(estimator.activation, estimator.penalty)]
    elif isinstance(pairings, str) and pairings == "all":
        pairs = default_pairs(
            estimator.activation,
            estimator.penalty,
            multilabel=multilabel,
            ordered=ordered,
        )
    elif isinstance(pairings, str):
        raise ValueError(
            f"pairings={pairings!r} must be None, 'all', or a list of pairs "
            '(activation, penalty), such as [("softmax", "cross_entropy")].'
        )
    else:
        pairs = list(named_pairs(pairings).values())
    sizes = layer_sizes_of(estimator.hidden_layer_sizes)
    return [Group(names, pair(*names), size) for names, size in product(pairs, sizes)]
