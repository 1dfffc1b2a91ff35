"""Listeners: called after each iteration, they can stop the minimisation."""

from threading import Event
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interrupt", "Iteration", "Listener", "Listeners", "Printer"]


class Iteration(NamedTuple):
    """The state of a minimisation after an iteration.

    Attributes
    ----------
    number : int
        From 1.
    theta : ndarray of shape (n_parameters,)
        The point accepted.
    loss : float
        The objective there.
    gradient_norm : float
        Largest absolute component of the gradient in the weights and biases.
    evaluations : int
        Of the objective and of Hessian products, so far.
    seconds : float
        Since the minimisation began.
    """

    number: int
    theta: NDArray[np.float64]
    loss: float
    gradient_norm: float
    evaluations: int
    seconds: float


class Listener:
    """Base class of what is called on the iterations of one minimisation.

    Attributes
    ----------
    stopped : bool
        Whether it asks for a stop before the first iteration.
    """

    stopped = False

    def begin(self) -> None:
        """Called when an iteration begins."""

    def after(self, iteration: Iteration) -> bool:
        """Return whether to stop after this iteration."""
        return False

    def close(self) -> None:
        """Called when the minimisation has ended, perhaps within an iteration."""


class Listeners(Listener):
    """Several listeners, called in this order on every iteration.

    Parameters
    ----------
    *listeners : Listener or None
        None is left out.
    """

    def __init__(self, *listeners):
        self.listeners = [each for each in listeners if each is not None]
        self.stopped = any(each.stopped for each in self.listeners)

    def begin(self):
        """Call all when an iteration begins."""
        for each in self.listeners:
            each.begin()

    def after(self, iteration):
        """Return whether any of them asks for a stop."""
        for each in self.listeners:
            if each.after(iteration):
                self.stopped = True
        return self.stopped

    def close(self):
        """Call all when the minimisation has ended."""
        for each in self.listeners:
            each.close()


class Printer(Listener):
    """Prints a line for some iterations.

    Parameters
    ----------
    verbose : int
        1: for iterations 1 to 10, 20, 30 to 100, 200, 300 and so on, and the last.
        More: for all.
    """

    def __init__(self, verbose=2):
        self.verbose = verbose
        self._left_out = None

    def after(self, iteration):
        """Print the line if it is for this iteration."""
        step = 10 ** int(np.log10(iteration.number)) if iteration.number < 100 else 100
        shown = self.verbose > 1 or iteration.number % step == 0
        self._left_out = None if shown else iteration
        if shown:
            self._print(iteration)
        return False

    def close(self):
        """Print the last line."""
        if self._left_out is not None:
            self._print(self._left_out)

    @staticmethod
    def _print(iteration):
        gradient = f"max |gradient| {iteration.gradient_norm:.3e}  "
        if np.isnan(iteration.gradient_norm):  # of a pass in minibatches
            gradient = ""
        print(
            f"iteration {iteration.number:5d}  objective {iteration.loss:.8g}  "
            f"{gradient}evaluations {iteration.evaluations}  "
            f"seconds {iteration.seconds:.2f}"
        )


class Interrupt:
    """Whether Ctrl-C, or the loss of the rows, has ended a fit; shared by its threads.

    Attributes
    ----------
    cause : KeyboardInterrupt or None
    """

    def __init__(self):
        self._event = Event()
        self.cause = None

    def set(self, cause=None):
        """End the fit; the first cause is kept."""
        self.cause = self.cause or cause
        self._event.set()

    def is_set(self):
        """Return whether the fit is to end."""
        return self._event.is_set()

    @property
    def lost(self):
        """The error that says why the rows are lost; None after Ctrl-C."""
        return getattr(self.cause, "error", None)
