"""scikit-learn's callbacks: what they are told of a fit, and their wish to stop.

They came with scikit-learn 1.9 (`sklearn.callback`). The tree of tasks is fit > start,
where there are several, > stage, an early one of a growing sample, > iteration; the
iterations on all rows are children of the start, or of the fit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:
        """In place of scikit-learn's."""

        def set_callbacks(self, *callbacks):
            """Raise an error: callbacks need scikit-learn 1.9."""
            raise NotImplementedError(
                "Callbacks need scikit-learn 1.9 or later: upgrade it, or take "
                "verbose=1 or early_stopping=True."
            )

    def with_callbacks(method):
        """The method, called from one frame further, as with scikit-learn's."""

        @wraps(method)
        def call(*args, **kwargs):
            return method(*args, **kwargs)

        return call


__all__ = [
    "CallbackSupportMixin",
    "FitTask",
    "Iterations",
    "fit_task",
    "with_callbacks",
]


@dataclass(frozen=True)
class FitTask:
    """A task of a fit that has begun.

    Attributes
    ----------
    context : CallbackContext
    told : dict
        The estimator, X, y and metadata.
    attributes_at : callable
        From theta to the fitted attributes that a prediction needs.
    """

    context: object
    told: dict
    attributes_at: Callable

    def begin(self, name, max_subtasks=0):
        """A subtask, which has begun."""
        context = self.context.subcontext(name, max_subtasks=max_subtasks)
        context.call_on_fit_task_begin(**self.told)
        return FitTask(context, self.told, self.attributes_at)

    def end(self, theta=None):
        """End the task, at `theta` if it led anywhere; whether a callback says stop."""
        at = None if theta is None else lambda: self.attributes_at(theta)
        return bool(
            self.context.call_on_fit_task_end(**self.told, reconstruction_attributes=at)
        )


class Iterations:
    """The iterations of one minimisation, each a subtask of a task.

    Attributes
    ----------
    stopped : bool
        Whether a callback has asked for a stop.
    """

    def __init__(self, task, stopped=False):
        self.task = task
        self.stopped = stopped
        self._current = None

    def begin(self):
        """Begin the next."""
        self._current = self.task.begin("iteration")

    def end(self, theta):
        """End the current one at theta; whether to stop."""
        current, self._current = self._current, None
        self.stopped = current.end(theta) or self.stopped
        return self.stopped

    def close(self):
        """End one that the solver has given up."""
        if self._current is not None:
            self._current.end()
            self._current = None


def fit_task(context, told, attributes_at):
    """The task of a whole fit, which has begun; None where no callback listens.

    Parameters
    ----------
    context : CallbackContext or None
        None before scikit-learn 1.9.
    told, attributes_at
        See `FitTask`.
    """
    if context is None:
        return None
    context.call_on_fit_task_begin(**told)
    # A task for each iteration costs more than a small fit's iteration itself
    if not getattr(told["estimator"], "_skl_callbacks", None):
        return None
    return FitTask(context, told, attributes_at)
