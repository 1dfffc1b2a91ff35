import os

# Before NumPy is loaded: the problems here are too small for BLAS threads to pay
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

collect_ignore = ["benchmarks", "typing"]


def pytest_addoption(parser):
    parser.addoption(
        "--regenerate",
        action="store_true",
        help="rewrite tests/golden/ instead of comparing with it",
    )
