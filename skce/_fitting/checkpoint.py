"""A checkpoint: what the objective has answered, on file, to take a fit up again.

A solver cannot be set going again in the middle of its way, but it is deterministic: to
the same answers it puts the same questions. So each answer of the objective is appended
to a file, and a later fit reads them there in place of computing them, until they end.
It goes the same way to the last bit, with every solver, stage and start. A record is a
digest of the question and the answer in float64, so that nothing but numbers is ever
read from a file. A first line of JSON says of which fit they are: its parameters, and a
digest of its rows and starts.
"""

import json
import re
import struct
import warnings
from contextlib import contextmanager
from hashlib import blake2b
from numbers import Integral, Real
from os import SEEK_END
from pathlib import Path

import numpy as np

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: two fits must not be given one file
    flock = None

__all__ = ["Tape", "digest_of", "tape_at"]

FORMAT = "skce checkpoint 1"
# Parameters that change nothing of the way
FREE = {"n_jobs", "verbose", "moderated", "warm_start", "scoring"}
FREE |= {"client", "worker_timeout"}  # of DaskPairedMLPClassifier
# and those that only end it sooner or later, where there is one stage and one start
LIMITS = {"max_iter", "max_fun", "tol"}
# Evaluations after the last iteration, in records
MOST_AT_THE_END = 4

HEAD = struct.Struct("<16sqd")  # digest, length of the vector, value


class Tape:
    """The answers on an open file: read while there are any, then written.

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

    def follow(self, objective):
        """The objective, whose answers come from the tape or go to it."""
        return _OnTape(objective, self)

    def answer(self, question, compute, first):
        """The value and the vector for a question, a tuple of a str and arrays.

        The `first` answer of an objective is always computed, and has to agree.
        """
        digest = blake2b(question[0].encode(), digest_size=16)
        for part in question[1:]:
            digest.update(part.tobytes())
        key = digest.digest()
        found = self._next() if self._reading else None
        if found is not None and found[0] != key:
            found = self._turn(HEAD.size + question[1].nbytes)
        if found is None:
            value, vector = compute()
            self._append(HEAD.pack(key, len(vector), value) + vector.tobytes())
            return value, vector
        _, value, vector = found
        if first and not np.isclose(compute()[0], value, rtol=1e-6, equal_nan=True):
            raise self._another_way()
        return value, vector

    def _turn(self, record):
        """None, and ready to write, where the fit on file came to its end otherwise.

        After Ctrl-C or a limit it evaluated once or twice more, where a fit that goes
        on does not.
        """
        end = self._file.seek(0, SEEK_END)
        if end - self._place > MOST_AT_THE_END * record:
            raise self._another_way()
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
            warnings.warn(
                f"checkpoint={str(self._path)!r} cannot be written any more ({error}): "
                "the fit goes on without it.",
                stacklevel=2,
            )

    def _another_way(self):
        return ValueError(
            f"The fit does not go the way of checkpoint={str(self._path)!r} "
            f"(evaluation {self.n_read} differs): it is of another machine or version "
            "of a package. Take another file name to begin anew."
        )

    def _next(self):
        """The next record; None, and ready to write, where a whole one is missing."""
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


class _OnTape:
    """An objective whose answers are on a tape."""

    def __init__(self, objective, tape):
        self.network = objective.network
        self._objective = objective
        self._tape = tape
        self._first = True

    @property
    def lost(self):
        """Why nothing can be asked any more; see `ClusterObjective`."""
        return getattr(self._objective, "lost", None)

    def _ask(self, question, compute):
        first, self._first = self._first, False
        return self._tape.answer(question, compute, first)

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


def digest_of(*arrays):
    """A short text that other arrays, CSR matrices or Nones hardly share."""
    digest = blake2b(digest_size=16)
    for array in arrays:
        parts = [array]
        if hasattr(array, "indptr"):
            parts = [array.data, array.indices, array.indptr]
        for part in parts:
            if part is None:
                digest.update(b"none")
                continue
            digest.update(f"{part.shape} {part.dtype}".encode())
            step = max(1, 2**24 // max(1, part[:1].nbytes))  # a copy of 16 MB at most
            for start in range(0, len(part), step):
                digest.update(np.ascontiguousarray(part[start : start + step]).data)
    return digest.hexdigest()


@contextmanager
def tape_at(path, estimator, network, digest, several):
    """The Tape on a file, which is made if it does not exist; None for no path.

    Parameters
    ----------
    path : path-like or None
    estimator : PairedMLPClassifier
    network : Network
    digest : callable
        Gives that of the rows and starts.
    several : bool
        Whether there are several stages or starts, whose ends are on the way.

    Raises
    ------
    ValueError
        If the file is none of these, or of another fit, or in use; or if random_state
        is not an integer.
    """
    if path is None:
        yield None
        return
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            f"checkpoint needs an integer random_state, not "
            f"{estimator.random_state!r}, as a fit is taken up again from its start."
        )
    free = FREE if several else FREE | LIMITS
    header = {
        "format": FORMAT,
        "parameters": {"layer_sizes": list(network.layer_sizes)}
        | {
            name: _canonical(value)
            for name, value in sorted(estimator.get_params(deep=False).items())
            if name not in free
        },
        "rows": digest(),
    }
    path = Path(path)
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
        yield Tape(file, path)


def _write(file, data):
    """All of the data: a raw file may take a part of them only."""
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
            f"checkpoint={str(path)!r} is in use by another fit: each needs a file of "
            "its own."
        ) from error
    except OSError:  # a file system without locks
        pass


def _canonical(value):
    """A text of a parameter that is the same in another process."""
    if isinstance(value, Real) and not isinstance(value, bool):
        return repr(float(value))
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _check_header(file, expected, path):
    """Compare the first line; the file is left behind it."""
    file.seek(0)
    line, end, _ = file.read(2**20).partition(b"\n")
    try:
        header = json.loads(line)
        right = bool(end) and header["format"] == FORMAT
    except (ValueError, KeyError, TypeError):
        right = False
    if not right:
        raise ValueError(
            f"checkpoint={str(path)!r} exists and is no {FORMAT!r}: take another name."
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
            f"{'; '.join(others)}. Set them as they were, or take another file name."
        )
    if header["rows"] != expected["rows"]:
        raise ValueError(
            f"checkpoint={str(path)!r} is of a fit to other rows, weights, validation "
            "rows or start weights. Take another file name to begin anew."
        )
    file.seek(len(line) + 1)
