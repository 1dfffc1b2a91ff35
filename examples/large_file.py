"""
A file larger than memory
=========================

Fit a Parquet or CSV file that does not fit into memory. The file is streamed, batch by
batch, into a .npy file of float32, which is then memory-mapped: the fit reads one block
of rows after another and does not keep them. Needs pyarrow::

    python examples/large_file.py rows.parquet label
"""

# sphinx_gallery_thumbnail_path = "_static/thumbnail_large_file.png"

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from skce import PairedMLPClassifier, summary


def to_npy(path, label, target):
    """Write all columns of a Parquet or CSV file except `label` to `target`.

    Return the features, memory-mapped as float32, and the labels.
    """
    file_format = "csv" if Path(path).suffix == ".csv" else "parquet"
    data = ds.dataset(path, format=file_format)
    features = [name for name in data.schema.names if name != label]
    shape = data.count_rows(), len(features)
    X = np.lib.format.open_memmap(target, "w+", np.float32, shape)
    labels, start = [], 0
    for batch in data.to_batches(columns=[*features, label]):
        rows = slice(start, start + len(batch))
        for j, name in enumerate(features):
            X[rows, j] = batch[name].to_numpy(zero_copy_only=False)
        labels.append(batch[label].to_numpy(zero_copy_only=False))
        start = rows.stop
    # Standardise in place, part by part, with statistics in float64
    parts = [slice(i, i + 100_000) for i in range(0, len(X), 100_000)]
    mean = sum(X[part].sum(axis=0, dtype=np.float64) for part in parts) / len(X)
    variance = sum(np.square(X[part] - mean).sum(axis=0) for part in parts) / len(X)
    for part in parts:
        X[part] = (X[part] - mean) / np.where(variance > 0, np.sqrt(variance), 1)
    X.flush()
    return np.load(target, mmap_mode="r"), np.concatenate(labels)


def example_file(path, n_rows=200_000, n_features=20):
    """Write a Parquet file to try this on."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(n_features, 3))
    with _writer(path, n_features) as out:
        for _ in range(0, n_rows, 50_000):
            X = rng.normal(size=(50_000, n_features))
            label = (X @ W + rng.gumbel(size=(50_000, 3))).argmax(axis=1)
            columns = [pa.array(x) for x in X.T] + [pa.array(label)]
            out.write_table(pa.table(columns, schema=out.schema))


def _writer(path, n_features):
    names = [f"x{j}" for j in range(n_features)]
    schema = pa.schema([(name, pa.float64()) for name in names] + [("y", pa.int64())])
    return pq.ParquetWriter(path, schema)


def main(path=None, label="y"):
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            path = Path(folder) / "rows.parquet"
            example_file(path)
        X, y = to_npy(path, label, Path(folder) / "X.npy")
        clf = PairedMLPClassifier(hidden_layer_sizes=10, random_state=0)
        print(summary(clf.fit(X, y, checkpoint=Path(folder) / "checkpoint"), X, y))


if __name__ == "__main__":
    main(*sys.argv[1:])
