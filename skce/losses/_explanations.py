"""Texts of the errors and warnings about a pair: the reason, and alternatives."""

from typing import TYPE_CHECKING

from skce.losses._status import legal_penalties, pairing_status
from skce.losses.activations import ACTIVATIONS, Activation
from skce.losses.penalties import Penalty, get_penalty

if TYPE_CHECKING:
    from skce.losses.pairings import Pairing

__all__ = ["why_degenerate", "why_undefined"]


def why_undefined(activation: Activation, penalty: str | Penalty) -> str:
    """Return the error of an undefined pair: the reason, and the legal penalties."""
    legal = ", ".join(map(repr, legal_penalties(activation)))
    advice = f"this activation can be paired with {legal}"
    if isinstance(penalty, str) and penalty == "natural":
        return f"{activation!r} defines no natural loss: {advice}."
    penalty = get_penalty(penalty)
    return (
        f"activation={activation.name!r} cannot be paired with "
        f"penalty={penalty.name!r}: the outputs of {activation.name} lie in "
        f"{activation.range}, where {penalty.name} is not finite (it is defined on "
        f"{penalty.domain}); {advice}."
    )


def why_degenerate(pairing: "Pairing") -> str:
    """Return the warning of a degenerate pair: the effect, and what to use instead.

    Examples
    --------
    >>> from skce.losses.pairings import pair, why_degenerate
    >>> why_degenerate(pair("logistic", "cross_entropy"))[:43]
    'logistic x cross_entropy is degenerate: cro'
    """
    activation, penalty = pairing.activation, pairing.penalty
    assert penalty is not None
    better = [name for name in legal_penalties(activation) if name != penalty.name]
    normalised = [name for name, other in ACTIVATIONS.items() if other.on_simplex]
    partners = [
        repr(name)
        for name in normalised
        if pairing_status(name, penalty) in ("natural", "workable")
    ]
    with_penalty = (
        f", or keep the penalty with activation={' or '.join(partners)}"
        if partners
        else ""
    )
    return (
        f"{pairing} is degenerate: {penalty.name} is a loss for outputs that sum to 1, "
        f"but those of {activation.name} need not: where it is smallest, they say "
        "little or nothing about the classes. Use "
        f"penalty={better[0]!r} with {activation.name}{with_penalty}."
    )
