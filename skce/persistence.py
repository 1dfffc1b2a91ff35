"""Load stored classifiers with skops, which constructs trusted types only."""

from typing import Any

from sklearn import model_selection
from sklearn.metrics import get_scorer, get_scorer_names

from skce._fitting.stages import Stage
from skce._inputs.labels import Labels
from skce._network.kernels import Network
from skce._network.standardization import Standardization
from skce.classifier import PairedMLPClassifier
from skce.losses.activations import Activation
from skce.losses.hidden import HiddenActivation
from skce.losses.pairings import Pairing
from skce.losses.penalties import Penalty
from skce.search import PairedMLPClassifierCV

__all__ = ["trusted_types"]

# Classes of NumPy and scikit-learn beside those that skops trusts by itself, in
# searches, calibration and ensembles, and in transformers of columns. Each holds plain
# values, or calls what is trusted itself. (Not a ScoringMonitor: it holds the address
# of a socket, from which it would unpickle.)
OF_OTHERS = {
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.callback._progressbar.ProgressBar",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.metrics._scorer._CurveScorer",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
}


def trusted_types() -> list[str]:
    """Return the names of the types that a file with a fitted classifier can contain.

    These are the classes of skce, and those classes of scikit-learn and NumPy in
    pipelines, searches, calibration and ensembles around a classifier that skops does
    not trust by default: scorers and their metrics, splitters and so on. The list does
    not depend on the file that is loaded, so a file cannot have anything else
    constructed. Add the names of user-defined activations and penalties to it.
    ScoringMonitor is not included: remove it with `set_callbacks()` before storing.

    skops is installed by `python -m pip install skops`.

    Returns
    -------
    names : list of str
        Sorted.

    Examples
    --------
    >>> from skops.io import dumps, loads
    >>> from skce import PairedMLPClassifier
    >>> from skce.persistence import trusted_types
    >>> clf = PairedMLPClassifier(hidden_layer_sizes=2, random_state=0)
    >>> clf = clf.fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    >>> loads(dumps(clf), trusted=trusted_types()).predict([[2.5]])
    array([1])
    """
    kinds: list[type] = [
        PairedMLPClassifier,
        PairedMLPClassifierCV,
        Labels,
        Network,
        Stage,
        Standardization,
    ]
    for base in (Activation, HiddenActivation, Penalty, Pairing):
        kinds += _with_subclasses(base)
    splitters = [
        kind
        for kind in vars(model_selection).values()
        if isinstance(kind, type) and hasattr(kind, "split")
    ]
    metrics = [get_scorer(name)._score_func for name in get_scorer_names()]
    return sorted(
        _names(kinds, "skce.") | _names(splitters + metrics, "sklearn.") | OF_OTHERS
    )


def _names(kinds: list[Any], start: str) -> set[str]:
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds}
    return {name for name in names if name.startswith(start)}


def _with_subclasses(kind: type) -> list[type]:
    kinds = [kind]
    subclasses: list[type] = kind.__subclasses__()
    for subclass in subclasses:
        kinds += _with_subclasses(subclass)
    return kinds
