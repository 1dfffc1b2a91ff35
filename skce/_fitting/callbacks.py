"""Adapter for scikit-learn callbacks: events and stop requests.

scikit-learn has them since 1.9 (`sklearn.callback`). Tasks form a tree: fit > start (if
there are several) > stage (an early one of a growing sample) > iteration. Iterations on
all rows are children of the start, or of the fit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from skce._fitting.listeners import Listener

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """In place of scikit-learn's."""

        def set_callbacks(self, *callbacks):
            """Raise an error: callbacks need scikit-learn 1.9."""
            raise NotImplementedError(
                "Callbacks need scikit-learn 1.9 or later: upgrade it, or use "
                "verbose=1 or early_stopping=True."
            )

    def with_callbacks(method):
        """Return the method as it is."""
        return method


__all__ = [
    "CallbackSupportMixin",
    "FitTask",
    "IterationTasks",
    "begin_fit",
    "with_callbacks",
]


@dataclass(frozen=True)
class FitTask:
    """A running task of a fit.

    Attributes
    ----------
    context : CallbackContext
    event_data : dict
        The estimator, X, y and metadata.
    fitted_at : callable
        From theta to a fitted estimator.
    """

    context: object
    event_data: dict
    fitted_at: Callable

    def begin(self, name, max_subtasks=0):
        """Begin a subtask."""
        context = self.context.subcontext(name, max_subtasks=max_subtasks)
        context.call_on_fit_task_begin(**self.event_data)
        return FitTask(context, self.event_data, self.fitted_at)

    def end(self, theta=None):
        """End the task, at `theta` if it has one; return whether to stop."""

        def attributes():
            # scikit-learn sets them on a copy of the estimator, of which nothing of a
            # previous fit is to be left
            return {"__dict__": vars(self.fitted_at(theta))}

        return self._end(None if theta is None else attributes)

    def end_fit(self):
        """End the task of a whole fit, which the estimator itself has taken over."""
        self._end({})

    def _end(self, attributes):
        return bool(
            self.context.call_on_fit_task_end(
                **self.event_data, reconstruction_attributes=attributes
            )
        )


class IterationTasks(Listener):
    """The iterations of one minimisation, each a subtask of a task.

    Parameters
    ----------
    task : FitTask
    stopped : bool
        Whether a callback has asked for a stop before.
    """

    def __init__(self, task, stopped=False):
        self.task = task
        self.stopped = stopped
        self._current = None

    def begin(self):
        """Begin the next iteration."""
        self._current = self.task.begin("iteration")

    def after(self, iteration):
        """End the current iteration; return whether to stop."""
        current, self._current = self._current, None
        self.stopped = current.end(iteration.theta) or self.stopped
        return self.stopped

    def close(self):
        """End the iteration during which the solver ended."""
        if self._current is not None:
            self._current.end()
            self._current = None


def begin_fit(context, event_data, fitted_at):
    """Begin the task of a whole fit.

    Parameters
    ----------
    context : CallbackContext or None
        None before scikit-learn 1.9.
    event_data, fitted_at
        See `FitTask`.

    Returns
    -------
    task : FitTask or None
        None where no callback listens.
    """
    if context is None:
        return None
    context.call_on_fit_task_begin(**event_data)
    # A task for each iteration costs more than a small fit's iteration itself
    if not getattr(event_data["estimator"], "_skl_callbacks", None):
        return None
    return FitTask(context, event_data, fitted_at)
