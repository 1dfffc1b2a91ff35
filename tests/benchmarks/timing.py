"""Interleaved timings of several functions: medians, and ratios within a turn."""

import time
from dataclasses import dataclass

import numpy as np

# BLAS threads keep spinning for some 30 ms after their last product
REST = 0.05

# Of this process: `time.process_time` counts its CPU seconds, where others use the
# machine as well
clock = time.perf_counter


@dataclass(frozen=True)
class Times:
    """Seconds of each side, one row per turn."""

    sides: list
    seconds: np.ndarray

    def median(self, side):
        return float(np.median(self.seconds[:, self.sides.index(side)]))

    def ratio(self, above, below):
        """Median, least and largest of the turns' ratios."""
        over, under = (self.seconds[:, self.sides.index(s)] for s in (above, below))
        ratios = over / under
        return tuple(float(f(ratios)) for f in (np.median, np.min, np.max))


def once(function):
    """Seconds of one call."""
    start = clock()
    function()
    return clock() - start


def repeated(function, least=0.03, settle=0.15):
    """Seconds per call, from as many calls as take `least` seconds.

    Measured after `settle` seconds of calls, in which the scheduler spreads the threads
    over the cores again after those of another side.
    """
    begin, n_calls = clock(), 0
    while n_calls < 2 or clock() - begin < settle:
        function()
        n_calls += 1
    n = max(1, int(least * n_calls / (clock() - begin)))
    start = clock()
    for _ in range(n):
        function()
    return (clock() - start) / n


def in_turn(functions, turns, measure=once):
    """Times of the sides {name: function}, each of them once per turn."""
    seconds = []
    for _ in range(turns):
        row = []
        for function in functions.values():
            time.sleep(REST)
            row.append(measure(function))
        seconds.append(row)
    return Times(list(functions), np.array(seconds))


def exponent(sizes, seconds):
    """The b of seconds = a sizes^b, by least squares on the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
