"""Checkpoints: resume an interrupted fit by replaying logged objective evaluations.

A solver cannot be restarted in the middle, but it is deterministic: given the same
answers, it evaluates the objective at the same points. So each answer of the objective
is appended to a file, and a later fit reads them there instead of computing them, until
they end: it resumes bit-identically, with every solver, stage and start. A record is a
digest of the question and the answer in float64, so that nothing but numbers is ever
read from a file. A first line of JSON says which fit they belong to: its parameters,
and a digest of its rows and starts.

This is a wrapper of the objective; nothing else in a fit knows of it.
"""

import json
import re
import struct
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from numbers import Integral, Real
from os import SEEK_END
from pathlib import Path

import numpy as np

from skce._network.rows import digest_of
from skce._support.warn import warn

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: two fits must not be given one file
    flock = None  # type: ignore[assignment]

__all__ = ["EvaluationLog", "resumable"]

FORMAT = "skce checkpoint 1"
# Parameters that only end a fit sooner or later, where there is one stage and one start
LIMITS = {"max_iter", "max_fun", "tol"}
# Evaluations after the last iteration, in records
MAX_AT_THE_END = 4

HEAD = struct.Struct("<16sqd")  # digest, length of the vector, value


class EvaluationLog:
    """The answers in an open file: read while there are any, then written.

    Parameters
    ----------
    file : binary file, open for reading and writing, behind the header
    path : Path
        For errors.

    Attributes
    ----------
    n_read : int
        Answers that were found there.
    """

    def __init__(self, file, path):
        self._file = file
        self._path = path
        self._reading = True
        self._place = None  # where the last record that was read begins
        self.n_read = 0

    def wrap(self, objective):
        """Wrap an objective, so that its answers come from the log or go to it."""
        return LoggedObjective(objective, self)

    def answer(self, question, compute, first):
        """Return value and vector for a question, a tuple of a str and arrays.

        The `first` answer of an objective is always computed, and has to agree.
        """
        digest = blake2b(question[0].encode(), digest_size=16)
        for part in question[1:]:
            digest.update(part.tobytes())
        key = digest.digest()
        found = self._next() if self._reading else None
        if found is not None and found[0] != key:
            found = self._end_replay(HEAD.size + question[1].nbytes)
        if found is None:
            value, vector = compute()
            self._append(HEAD.pack(key, len(vector), value) + vector.tobytes())
            return value, vector
        _, value, vector = found
        if first and not np.isclose(compute()[0], value, rtol=1e-6, equal_nan=True):
            raise self._other_evaluations()
        return value, vector

    def _end_replay(self, record):
        """Return None, ready to write, where the logged fit ended differently.

        After Ctrl-C or a limit it evaluated once or twice more, where a fit that
        continues does not.
        """
        end = self._file.seek(0, SEEK_END)
        if end - self._place > MAX_AT_THE_END * record:
            raise self._other_evaluations()
        self._write_from(self._place)

    def _write_from(self, place):
        self._reading = False
        self._file.seek(place)
        self._file.truncate()

    def _append(self, data):
        """Write a record; without a file from the first error on."""
        if self._file is None:
            return
        place = self._file.tell()
        try:
            _write(self._file, data)
        except OSError as error:
            self._file.truncate(place)
            self._file = None
            warn(
                f"checkpoint={str(self._path)!r} cannot be written any more ({error}): "
                "the fit goes on without it.",
                UserWarning,
            )

    def _other_evaluations(self):
        return ValueError(
            f"The fit does not repeat checkpoint={str(self._path)!r} "
            f"(evaluation {self.n_read} differs): it is of another machine or version "
            "of a package. Use another file name to start afresh."
        )

    def _next(self):
        """Return the next record; None, ready to write, if no whole one is left."""
        self._place = self._file.tell()
        head = self._file.read(HEAD.size)
        if len(head) == HEAD.size:
            key, length, value = HEAD.unpack(head)
            data = self._file.read(8 * length)
            if len(data) == 8 * length:
                self.n_read += 1
                return key, value, np.frombuffer(data).copy()
        self._write_from(self._place)
        return None


class LoggedObjective:
    """An `Objective` whose answers are in a log."""

    def __init__(self, objective, log):
        self.network = objective.network
        self.rows = objective.rows
        self.standardization = objective.standardization
        self._objective = objective
        self._log = log
        self._first = True

    def _ask(self, question, compute):
        first, self._first = self._first, False
        return self._log.answer(question, compute, first)

    def value_and_gradient(self, theta):
        """See `Objective`."""
        return self._ask(
            ("value", theta), lambda: self._objective.value_and_gradient(theta)
        )

    def hessian_product(self, theta, v):
        """See `Objective`."""

        def compute():
            return 0.0, self._objective.hessian_product(theta, v)

        return self._ask(("hessian", theta, v), compute)[1]

    def mean_loss(self, theta):
        """See `Objective`."""

        def compute():
            return self._objective.mean_loss(theta), np.empty(0)

        return self._ask(("loss", theta), compute)[0]


@contextmanager
def resumable(path, estimator, problem, starts):
    """Make a problem whose evaluations are logged in a file; itself for no path.

    Parameters
    ----------
    path : path-like or None
        Of the file, which is made if it does not exist.
    estimator : BasePairedMLP
    problem : Problem
    starts : list of Start

    Raises
    ------
    ValueError
        If the file is not a checkpoint, or of another fit, or in use; or if
        random_state is not an integer.
    """
    if path is None:
        yield problem
        return
    path = Path(path)
    header = _header(estimator, problem, starts)
    line = json.dumps(header).encode() + b"\n"
    with open(path, "r+b" if path.exists() else "w+b", buffering=0) as file:
        _lock(file, path)
        size = file.seek(0, SEEK_END)
        file.seek(0)
        if size < len(line) and line.startswith(file.read(size)):
            file.seek(0)  # new, or ended while this very line was written
            _write(file, line)
        else:
            _check_header(file, header, path)
        yield replace(problem, wrap_objective=EvaluationLog(file, path).wrap)


def _header(estimator, problem, starts):
    """Return the header, which identifies a fit."""
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            f"checkpoint needs an integer random_state, not "
            f"{estimator.random_state!r}, as a resumed fit begins at the same start."
        )
    free = set(estimator._ignored_by_checkpoint)
    # with several stages or starts, the end of one decides where the next begins
    if len(starts) == 1 and not starts[0].grow:
        free |= LIMITS
    parameters = {
        name: _canonical(value)
        for name, value in sorted(estimator.get_params(deep=False).items())
        if name not in free
    }
    held_out = ()
    if problem.validation is not None:
        data = problem.validation.data
        held_out = data.X, data.codes, data.weights
    l2 = np.array([problem.l2])
    rows = np.frombuffer(problem.rows.digest().encode(), dtype=np.uint8)
    return {
        "format": FORMAT,
        "parameters": {"layer_sizes": list(problem.network.layer_sizes), **parameters},
        "rows": digest_of(rows, l2, *(start.theta for start in starts), *held_out),
    }


def _write(file, data):
    """Write all of the data: a raw file may accept only a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _lock(file, path):
    if flock is None:
        return
    try:
        flock(file, LOCK_EX | LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(
            f"checkpoint={str(path)!r} is in use by another fit: each needs its own "
            "file."
        ) from error
    except OSError:  # a file system without locks
        pass


def _canonical(value):
    """Return a text of a parameter that is the same in another process."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return repr(float(value))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _check_header(file, expected, path):
    """Compare the first line, and leave the file behind it."""
    file.seek(0)
    line, end, _ = file.read(2**20).partition(b"\n")
    try:
        header = json.loads(line)
        right = bool(end) and header["format"] == FORMAT
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise ValueError(
            f"checkpoint={str(path)!r} exists and is no {FORMAT!r}: use another name."
        )
    before, now = header["parameters"], expected["parameters"]
    others = [
        f"{name}={now.get(name)} (before: {before.get(name)})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if others:
        raise ValueError(
            f"checkpoint={str(path)!r} is of a fit with other parameters: "
            f"{'; '.join(others)}. Set them as they were, or use another file name."
        )
    if header["rows"] != expected["rows"]:
        raise ValueError(
            f"checkpoint={str(path)!r} is of a fit to other rows, weights, validation "
            "rows or start weights. Use another file name to start afresh."
        )
    file.seek(len(line) + 1)
