"""Intervals of the real line: where outputs lie and where a penalty is defined."""

from dataclasses import dataclass
from math import inf

__all__ = ["REAL_LINE", "Interval"]


@dataclass(frozen=True)
class Interval:
    """The numbers between `low` and `high`, with or without the ends.

    Parameters
    ----------
    low, high : float
        The ends, `-inf` and `inf` allowed.
    low_closed, high_closed : bool, default=False
        Whether the end itself belongs to the interval.

    Examples
    --------
    >>> from skce.losses.intervals import Interval
    >>> Interval(0, 1) <= Interval(0, 1, True, True)
    True
    >>> print(Interval(0, 1, low_closed=True))
    [0, 1)
    >>> 1 in Interval(0, 1)
    False
    """

    low: float
    high: float
    low_closed: bool = False
    high_closed: bool = False

    def __le__(self, other: "Interval") -> bool:
        """Return whether this interval is a subset of `other`."""
        low_fits = self.low > other.low or (
            self.low == other.low and (other.low_closed or not self.low_closed)
        )
        high_fits = self.high < other.high or (
            self.high == other.high and (other.high_closed or not self.high_closed)
        )
        return low_fits and high_fits

    def __contains__(self, number: float) -> bool:
        """Return whether a number lies in this interval."""
        return Interval(number, number, True, True) <= self

    def __str__(self) -> str:
        opening = "[" if self.low_closed else "("
        closing = "]" if self.high_closed else ")"
        return f"{opening}{self.low:g}, {self.high:g}{closing}"


REAL_LINE = Interval(-inf, inf)
