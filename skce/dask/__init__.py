"""Training on a dask cluster: the same objective, its rows on the workers."""

from skce.dask._cluster import ClusterLostError
from skce.dask._estimator import DaskPairedMLPClassifier

__all__ = ["ClusterLostError", "DaskPairedMLPClassifier"]
