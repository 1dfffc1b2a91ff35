"""Load stored classifiers with skops, which constructs trusted types only."""

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


def trusted_types() -> list[str]:
    """Return the names of all skce classes that a fitted classifier can contain.

    Everything else in a fitted classifier is arrays, numbers, strings, and lists and
    dicts of them. The list does not depend on the file that is loaded, so that a file
    cannot have other parts of skce constructed. Add the names of user-defined
    activations and penalties to it.

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
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds}
    return sorted(name for name in names if name.startswith("skce."))


def _with_subclasses(kind: type) -> list[type]:
    kinds = [kind]
    subclasses: list[type] = kind.__subclasses__()
    for subclass in subclasses:
        kinds += _with_subclasses(subclass)
    return kinds
