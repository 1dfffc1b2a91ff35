"""Check that a fit will fit into memory before it starts."""

from skce._fitting.solvers import SOLVERS
from skce._network.blocks import MAX_SHARES, block_rows
from skce._network.columns import pays
from skce._support.memory import free_memory, gigabytes
from skce._support.warn import warn

__all__ = ["check_memory"]

# So much is not asked for
MIN_BYTES = 2**26

# Arrays of units x rows of a block, those of a Hessian product, and vectors of the
# parameters, of an evaluation
N_ARRAYS, N_HESSIAN_ARRAYS, N_VECTORS = 3, 10, 3

# Parameters from which a matrix of parameters x parameters is no longer worth its time
MAX_DENSE_PARAMETERS = 1000

# Classes that are hardly labels, if more than half of the rows have one of their own
MIN_ODD_CLASSES = 1000


def check_memory(network, rows, solver, n_starts=1):
    """Raise an error if a fit will not fit into memory; warn about a slow solver.

    Parameters
    ----------
    network : Network
    rows : Rows
    solver : str
        A name in `SOLVERS`.
    n_starts : int
        Of which the start and the solution are kept until the end.

    Raises
    ------
    ValueError
        If the least that the fit can take is more than what is free.

    Warns
    -----
    UserWarning
        If the solver keeps a dense matrix that is not worth it.
    """
    n = network.n_parameters
    kept = SOLVERS[solver].n_bytes(n)
    n_block = min(rows.n_rows, block_rows(rows.n_rows, network))
    n_shares = min(-(-rows.n_rows // n_block), MAX_SHARES)
    data = getattr(rows, "data", None)
    if data is not None and pays(data.X, network, n_shares):
        n_shares = 0  # they keep their deltas instead of gradients
    units = sum(network.layer_sizes[1:])
    needed = kept + 8 * n * (N_VECTORS + n_shares + 2 * (n_starts - 1))
    n_arrays = N_HESSIAN_ARRAYS if SOLVERS[solver].uses_hessian else N_ARRAYS
    needed += n_arrays * units * n_block * rows.dtype.itemsize
    if needed > MIN_BYTES and needed > (free := free_memory()):
        advice = "use fewer hidden units"
        if SOLVERS[solver].dense_hessian:
            advice += ", or solver='lbfgs'"
        if 2 * 16 * n * n_starts > needed:
            advice = f"{advice}, or fewer starts than n_init={n_starts}"
        if network.n_outputs > max(MIN_ODD_CLASSES, rows.n_rows / 2):
            advice = (
                f"y has {network.n_outputs} classes in {rows.n_rows} rows; if it is an "
                "identifier or a measurement, use a label instead"
            )
        raise ValueError(
            f"The fit needs {gigabytes(needed)} of memory, but {gigabytes(free)} is "
            f"free. Layers of {network.layer_sizes} units have {n} parameters, for "
            f"which solver={solver!r} alone keeps {gigabytes(kept)}: {advice}."
        )
    if SOLVERS[solver].dense_hessian and n > MAX_DENSE_PARAMETERS:
        warn(
            f"solver={solver!r} multiplies {n} x {n} matrices in each iteration, as "
            f"the network has {n} parameters: above about {MAX_DENSE_PARAMETERS}, "
            "solver='lbfgs' is far faster.",
            UserWarning,
        )
