"""Checkpoints: resume an interrupted fit by replaying logged objective evaluations.

A solver cannot be restarted in the middle, but it is deterministic: given the same
answers, it evaluates the objective at the same points. So each answer of the objective
is appended to a file, and a later fit reads them there instead of computing them, until
they end: it resumes bit-identically, with every solver, stage and start.

The file begins with a line of JSON, which says which fit it belongs to: its parameters,
and a digest of its rows and starts. Starts that were given follow as float64, as the
same call of a warm start would begin elsewhere. Then come the records: the digest of a
question, the answer in float64, and the digest of both; nothing but numbers is ever
read. The first record that is not whole ends the replay, and what follows is computed.

This is a wrapper of the objective; nothing else in a fit knows of it.
"""

import json
import os
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

__all__ = ["EvaluationLog", "resumable", "stored_starts"]

FORMAT = "skce checkpoint 3"
# Parameters that only end a fit sooner or later, where there is one stage and one start
LIMITS = {"max_iter", "max_fun", "tol"}
# Evaluations after the last iteration, in records
MAX_AT_THE_END = 4
# Bytes of a header that are looked at
MAX_HEADER = 2**20
# Letters of the text of a parameter
MAX_TEXT = 1000

# Digest of the question, length of the vector, value; and behind the vector the digest
# of all of it
HEAD, DIGEST_SIZE = struct.Struct("<16sqd"), 16


class EvaluationLog:
    """The answers in an open file: read while there are any, then written.

    Parameters
    ----------
    file : binary file, open for reading and writing
    place : int
        Where the records begin.
    path : Path
        For errors.
    interrupt : Interrupt
        Once it is set, answers are neither read nor written: the fit is winding up,
        and one that is resumed will not ask for them.

    Attributes
    ----------
    n_read : int
        Answers that were found there.
    """

    def __init__(self, file, place, path, interrupt):
        self._file = file
        self._path = path
        self._interrupt = interrupt
        self._reading = True
        self._place = place  # of the next record, wherever Ctrl-C has left the file
        self.n_read = 0

    def wrap(self, objective):
        """Wrap an objective, so that its answers come from the log or go to it."""
        return LoggedObjective(objective, self)

    def answer(self, question, compute, first):
        """Return value and vector for a question, a tuple of a str and arrays.

        The `first` answer of an objective is always computed, and has to agree.
        """
        if self._interrupt.is_set():
            return compute()
        key = _digest(question[0].encode(), *question[1:])
        largest = HEAD.size + question[1].nbytes + DIGEST_SIZE
        found = self._next(largest) if self._reading else None
        if found is not None and found[0] != key:
            found = self._end_replay(largest)
        if found is None:
            value, vector = compute()
            self._append(key, value, vector)
            return value, vector
        _, value, vector, end = found
        if first and not np.isclose(compute()[0], value, rtol=1e-6, equal_nan=True):
            raise self._other_evaluations()
        self._place = end
        self.n_read += 1
        return value, vector

    def _end_replay(self, record):
        """Return None, ready to write, where the logged fit ended differently.

        After a limit it evaluated once or twice more, where a fit that continues does
        not.
        """
        if self._file.seek(0, SEEK_END) - self._place > MAX_AT_THE_END * record:
            raise self._other_evaluations()
        self._end_reading()

    def _end_reading(self):
        self._file.truncate(self._place)
        self._reading = False

    def _append(self, key, value, vector):
        """Write a record; without a file from the first error on."""
        if self._file is None:
            return
        head = HEAD.pack(key, len(vector), value)
        data = head + vector.tobytes() + _digest(head, vector)
        try:
            self._file.seek(self._place)
            _write(self._file, data)
            self._place += len(data)
        except OSError as error:
            self._file.truncate(self._place)
            self._file = None
            warn(
                f"checkpoint={str(self._path)!r} can no longer be written ({error}): "
                "the fit continues without it.",
                UserWarning,
            )

    def _other_evaluations(self):
        return ValueError(
            f"The fit does not repeat checkpoint={str(self._path)!r} "
            f"(evaluation {self.n_read + 1} differs): it is of another machine or "
            "version of a package, or has begun again from constant outputs, where "
            "another tol does not. Use another file name to start afresh."
        )

    def _next(self, largest):
        """Return key, value, vector and end of the next record.

        None, ready to write, if no whole one is left.
        """
        left = self._file.seek(0, SEEK_END) - self._place
        self._file.seek(self._place)
        if left >= HEAD.size + DIGEST_SIZE:
            head = _read(self._file, HEAD.size)
            key, length, value = HEAD.unpack(head)
            size = HEAD.size + 8 * length + DIGEST_SIZE
            if length >= 0 and size <= left:
                vector = np.frombuffer(_read(self._file, 8 * length))
                if _read(self._file, DIGEST_SIZE) == _digest(head, vector):
                    return key, value, vector, self._place + size
        if left >= largest:  # else it is the end, or the fit was killed while writing
            warn(
                f"checkpoint={str(self._path)!r} is damaged at evaluation "
                f"{self.n_read + 1}. This evaluation and those after it are computed "
                "again.",
                UserWarning,
            )
        self._end_reading()
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
        # of which rows: an interrupted stage may be followed by the same question
        kind = f"{question[0]} {self.rows.n_rows}"
        return self._log.answer((kind, *question[1:]), compute, first)

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
def resumable(path, estimator, problem, starts, interrupt):
    """Make a problem whose evaluations are logged in a file; itself for no path.

    Parameters
    ----------
    path : path-like or None
        Of the file, which is made if it does not exist.
    estimator : BasePairedMLP
    problem : Problem
    starts : list of Start
    interrupt : Interrupt
        Of the fit.

    Raises
    ------
    ValueError
        If the file is not a checkpoint, or of another fit, or in use; or if
        random_state is not an integer.

    Warns
    -----
    UserWarning
        If a record is damaged, which ends the replay there.
    """
    if path is None:
        yield problem
        return
    path = Path(path)
    header = _header(estimator, problem, starts)
    preamble = json.dumps(header).encode() + b"\n"
    preamble += b"".join(start.theta.tobytes() for start in starts if start.given)
    # made if it is missing, but not emptied: it may be in use
    with open(path, "r+b", buffering=0, opener=_open_or_make) as file:
        _lock(file, path)
        size = file.seek(0, SEEK_END)
        file.seek(0)
        if size < len(preamble) and preamble.startswith(_read(file, size)):
            file.seek(0)  # new, or ended while this was written
            _write(file, preamble)
        else:
            _check_header(file, header, path)
        log = EvaluationLog(file, len(preamble), path, interrupt)
        yield replace(problem, wrap_objective=log.wrap)


def stored_starts(path, network, default):
    """Return the parameters from which the fit in a checkpoint began.

    Parameters
    ----------
    path : path-like
    network : Network
    default : list of ndarray of shape (n_parameters,)
        Returned if there is no checkpoint, or one whose starts are not whole.

    Returns
    -------
    thetas : list of ndarray of shape (n_parameters,)
        Of the starts that were not random.
    """
    try:
        with open(path, "rb") as file:
            header = _read_header(file)
            if header is None:
                return default
            size = len(header["starts"]) * network.n_parameters
            content = file.read(8 * size)
            if len(content) != 8 * size:
                return default
            thetas = [*np.frombuffer(content).reshape(-1, network.n_parameters)]
    except OSError:
        return default
    whole = [digest_of(theta) for theta in thetas] == header["starts"]
    return thetas if whole else default


def _header(estimator, problem, starts):
    """Return the header, which identifies a fit."""
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            f"A checkpoint needs an integer random_state, not "
            f"{estimator.random_state!r}, because a resumed fit must begin at the same "
            "start."
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
        "starts": [digest_of(start.theta) for start in starts if start.given],
        "rows": digest_of(rows, l2, *(start.theta for start in starts), *held_out),
    }


def _digest(*parts):
    digest = blake2b(digest_size=DIGEST_SIZE)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _open_or_make(path, flags):
    return os.open(path, flags | os.O_CREAT, 0o666)


def _read(file, size):
    """Read so many bytes, or what is left: a raw file may give a part at a time."""
    data = bytearray()
    while len(data) < size and (part := file.read(size - len(data))):
        data += part
    return data


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
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    if len(text) > MAX_TEXT:  # weights of many classes, say
        text = f"{text[:MAX_TEXT]}... ({_digest(text.encode()).hex()})"
    return text


def _read_header(file):
    """Read the header, and leave the file behind it; None if there is none."""
    line, newline, _ = file.read(MAX_HEADER).partition(b"\n")
    file.seek(len(line) + 1)
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        return None
    kinds = {"format": str, "parameters": dict, "starts": list, "rows": str}
    right = (
        newline
        and isinstance(header, dict)
        and header.keys() == kinds.keys()
        and all(isinstance(header[name], kind) for name, kind in kinds.items())
        and header["format"] == FORMAT
    )
    return header if right else None


def _check_header(file, expected, path):
    """Compare the first line."""
    file.seek(0)
    header = _read_header(file)
    if header is None:
        raise ValueError(
            f"checkpoint={str(path)!r} exists and is not a {FORMAT!r} file: use "
            "another name."
        )
    before, now = header["parameters"], expected["parameters"]
    others = [
        f"{name}={now.get(name)} (before: {before.get(name)})"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if others:
        raise ValueError(
            f"checkpoint={str(path)!r} belongs to a fit with other parameters: "
            f"{'; '.join(others)}. Set them as they were, or use another file name."
        )
    if header != expected:
        raise ValueError(
            f"checkpoint={str(path)!r} belongs to a fit to other rows, weights, "
            "validation rows or initial weights. Use another file name to start afresh."
        )
