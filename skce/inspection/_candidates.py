"""The estimators that `compare_pairings` compares, one per pair."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from sklearn.base import BaseEstimator, clone

from skce.losses.activations import ACTIVATIONS, get_activation
from skce.losses.pairings import Pairing, pair, pairing_grid
from skce.losses.penalties import PENALTIES

__all__ = ["Candidate", "Pair", "default_pairs", "make_candidates", "named_pairs"]

Pair = tuple[Any, Any]  # (activation, penalty), by name or as instances


@dataclass(frozen=True)
class Candidate:
    """A pair, its name, and an unfitted estimator that has it."""

    name: str
    pairing: Pair
    estimator: Any


def make_candidates(
    estimator: Any, pairings: Iterable[Any] | None, *, multilabel: bool, ordered: bool
) -> list[Candidate]:
    """Clone `estimator` for each pair; None stands for those of `default_pairs`.

    Raises
    ------
    ValueError
        If `estimator` does not contain exactly one PairedMLPClassifier, if it searches
        the pair itself, or if a pair is undefined or given twice.
    """
    prefix = _prefix_of_classifier(estimator)
    _check_search_space(estimator)
    if pairings is None:
        own = (estimator.get_params()[prefix + p] for p in ("activation", "penalty"))
        pairings = default_pairs(*own, multilabel=multilabel, ordered=ordered)
    return [
        Candidate(
            name,
            (activation, penalty),
            clone(estimator).set_params(
                **{f"{prefix}activation": activation, f"{prefix}penalty": penalty}
            ),
        )
        for name, (activation, penalty) in named_pairs(pairings).items()
    ]


def _prefix_of_classifier(estimator: Any) -> str:
    """Return the prefix of "activation" and "penalty" in `estimator`'s parameters."""
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(
            f"estimator={estimator!r} must be a PairedMLPClassifier() or contain one, "
            "as a step of a pipeline does."
        )
    parameters = estimator.get_params()
    prefixes = [
        name.removesuffix("activation")
        for name in parameters
        if name.split("__")[-1] == "activation"
        and name.removesuffix("activation") + "penalty" in parameters
    ]
    if len(prefixes) != 1:
        found = "no PairedMLPClassifier" if not prefixes else f"several, at {prefixes}"
        raise ValueError(
            f"estimator={estimator!r} must contain one PairedMLPClassifier, whose "
            f"activation and penalty are varied; it contains {found}."
        )
    return prefixes[0]


def _check_search_space(estimator: Any) -> None:
    """Raise an error if a search inside `estimator` varies the pair itself."""
    for name, value in estimator.get_params().items():
        if name.split("__")[-1] not in ("param_grid", "param_distributions"):
            continue
        grids = value if isinstance(value, list | tuple) else [value]
        keys = {key.split("__")[-1] for grid in grids for key in grid}
        if keys & {"activation", "penalty"}:
            raise ValueError(
                f"{name} of estimator searches activation or penalty, which "
                "compare_pairings sets itself: leave them out of the grid, so that "
                "every pair is searched over the other parameters alone."
            )


def default_pairs(
    activation: Any, penalty: Any, *, multilabel: bool, ordered: bool
) -> list[Pair]:
    """Return the pairs of `pairing_grid()` for an estimator that has these two.

    An instance, as of `Ordinal` with its order, takes the place of its namesake.
    Ordinal outputs are listed if the classes are `ordered`, or are its own.
    """
    ordered = ordered or get_activation(activation).ordered

    def own_or(name: str, own: Any, registry: Mapping[str, Any]) -> Any:
        return own if type(registry.get(name)) is type(own) else name

    grid = pairing_grid(multilabel=multilabel, ordered=ordered)
    return [
        (own_or(f, activation, ACTIVATIONS), own_or(rho, penalty, PENALTIES))
        for f, rho in _flattened(grid)
    ]


def named_pairs(pairings: Iterable[Any]) -> dict[str, Pair]:
    """Return the pairs by name, in the order given.

    Pairs of one name, such as those of a penalty whose name does not show all of its
    parameters, are told apart by the expressions that make them.
    """
    pairs: list[tuple[Pair, Pairing]] = []
    for given in _flattened(pairings):
        if not isinstance(given, list | tuple) or len(given) != 2:
            raise ValueError(
                f"{given!r} in pairings is not a pair (activation, penalty), such "
                'as ("softmax", "cross_entropy").'
            )
        activation, penalty = given
        pairs.append(((activation, penalty), pair(activation, penalty)))
    counts = Counter(str(pairing) for _, pairing in pairs)
    named: dict[str, Pair] = {}
    for names, pairing in pairs:
        name = str(pairing)
        if counts[name] > 1:
            name = f"{pairing.activation!r} x {pairing.penalty!r}"
        if name in named:
            raise ValueError(
                f"pairings has {pairing} twice: leave one out, or give user-defined "
                "penalties different names."
            )
        named[name] = names
    if not named:
        raise ValueError("pairings is empty: give at least one (activation, penalty).")
    return named


def _flattened(pairings: Any) -> Iterator[Any]:
    """Yield the pairs of a list that may contain dicts of `pairing_grid()`."""
    single = isinstance(pairings, str | dict) or not isinstance(pairings, Iterable)
    several = [] if single else list(pairings)
    if single or any(isinstance(given, str) for given in several):
        raise ValueError(
            f"pairings={pairings!r} must be a list of pairs (activation, penalty), "
            'such as [("softmax", "cross_entropy")].'
        )
    for given in several:
        if isinstance(given, dict):
            yield from _pairs_of_grid(given)
        else:
            yield given


def _pairs_of_grid(grid: dict[str, Any]) -> list[Pair]:
    """Return the pairs of one dict of `pairing_grid()`."""
    if set(grid) != {"activation", "penalty"}:
        raise ValueError(
            f"{grid!r} in pairings must have exactly the keys 'activation' and "
            "'penalty', as the dicts of pairing_grid() without a prefix have."
        )
    activations, penalties = (
        values if isinstance(values, list | tuple) else [values]
        for values in (grid["activation"], grid["penalty"])
    )
    return list(product(activations, penalties))
