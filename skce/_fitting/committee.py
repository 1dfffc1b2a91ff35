"""Which starts of a fit are averaged, and what is said of the others."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from skce._fitting.fits import Outcome

__all__ = ["Committee", "committee_of"]

# A start is averaged if it lowers the objective, from that of the class frequencies,
# by this part of what the best one does. One that is stuck near 0 costs much (on iris a
# log loss of 0.097 instead of 0.029). Beyond that little depends on it: in twelve
# settings on up to seven tables 0.25 to 0.9 were about equal, and 0.99 mostly worse
MIN_GAIN = 0.5


@dataclass(frozen=True)
class Committee:
    """The starts that are averaged.

    Attributes
    ----------
    members : list of Outcome
        The best first, in the order of their ranks.
    advice : str or None
        The text of a ConvergenceWarning about the others, and about members that did
        not converge where the best one did.
    """

    members: list[Outcome]
    advice: str | None


def committee_of(fits, problem):
    """Choose the starts whose probabilities are averaged.

    Left out are those that overflowed, were not begun, or lower the objective by less
    than `MIN_GAIN` of what the best start does: such a start is stuck, or was
    interrupted early.
    """
    best, constant = fits.best, problem.constant_loss
    # no limit if the best is no better than the class frequencies, or theirs is unknown
    highest = best.loss + (1 - MIN_GAIN) * (constant - best.loss)
    highest = highest if constant > best.loss else np.inf

    def trouble(outcome):
        if outcome.solution is None:
            return "not begun" if outcome.error is None else "overflowed"
        if outcome.loss <= highest:
            return None
        ended = outcome.solution.record["reason"]
        return ended if ended == "interrupted" else "stuck far above the best objective"

    others = [outcome for outcome in fits.outcomes if outcome is not best]
    usable = [outcome for outcome in others if trouble(outcome) is None]
    members = [best, *sorted(usable, key=lambda outcome: outcome.rank)]
    parts = Counter(filter(None, map(trouble, others)))
    short = sum(_is_unfinished(member) for member in members)
    if short and not _is_unfinished(best):
        parts["averaged although not converged"] = short
    if not parts:
        return Committee(members, None)
    told = ", ".join(f"{count} {text}" for text, count in parts.items())
    return Committee(
        members, f"averages {len(members)} of {len(fits.outcomes)} starts ({told})"
    )


def _is_unfinished(outcome):
    record = outcome.solution.record
    return not record["success"] and record["reason"] != "stopped"
