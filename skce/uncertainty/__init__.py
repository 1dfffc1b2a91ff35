"""Curvature of a fit: Hessians, standard errors, moderated probabilities."""

from skce.uncertainty._coefficients import CoefficientTable
from skce.uncertainty._curvature import MAX_PARAMETERS
from skce.uncertainty._standard_errors import (
    hessian,
    standard_errors,
)

__all__ = ["MAX_PARAMETERS", "CoefficientTable", "hessian", "standard_errors"]
