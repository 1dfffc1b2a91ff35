"""From a training problem to its minimum: starts, stages, solvers, stopping."""
