"""Which scorers of scikit-learn suit which labels."""

from collections.abc import Iterable

__all__ = ["NEED_ALL_CLASSES", "check_multilabel_scoring"]

# Scorers that are defined for classes that exclude each other, and rows of all of them
NEED_ALL_CLASSES = frozenset({"neg_log_loss", "neg_brier_score"})


def check_multilabel_scoring(names: Iterable[str]) -> None:
    """Raise a ValueError if one of these scorers is not defined for a multilabel y."""
    undefined = sorted(NEED_ALL_CLASSES.intersection(names))
    if undefined:
        raise ValueError(
            f"scoring has {undefined}, which scikit-learn defines for classes that "
            "exclude each other, but y is multilabel: take 'accuracy', 'f1_macro' or "
            "'average_precision', for instance."
        )
