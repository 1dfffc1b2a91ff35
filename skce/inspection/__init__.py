"""Comparing, checking and looking at fits."""

from skce.inspection._alpha_path import alpha_path
from skce.inspection._comparison import PairingComparison, compare_pairings
from skce.inspection._comparison_display import PairingComparisonDisplay
from skce.inspection._diagnosis import check_gradient
from skce.inspection._loss_curve_display import LossCurveDisplay
from skce.inspection._penalty_display import PenaltyDisplay
from skce.inspection._properties_display import PairingPropertiesDisplay
from skce.inspection._summary import Calibration, Summary, calibration, summary

__all__ = [
    "Calibration",
    "LossCurveDisplay",
    "PairingComparison",
    "PairingComparisonDisplay",
    "PairingPropertiesDisplay",
    "PenaltyDisplay",
    "Summary",
    "alpha_path",
    "calibration",
    "check_gradient",
    "compare_pairings",
    "summary",
]
