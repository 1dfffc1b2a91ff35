"""What a stored classifier holds, for loaders that ask what they may construct."""

from skce._fitting.stages import Stage
from skce.classifier import PairedMLPClassifier
from skce.losses.activations import Activation
from skce.losses.hidden import HiddenActivation
from skce.losses.pairings import Pairing
from skce.losses.penalties import Penalty

__all__ = ["trusted_types"]


def trusted_types():
    """Names of all classes of skce that a fitted classifier can hold, for skops.

    A fitted classifier otherwise consists of arrays, numbers, strings and lists and
    dicts of them. This list does not depend on the file that is loaded, which could
    name other things of skce. Classes of one's own are to be added to it.

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
    kinds = [PairedMLPClassifier, Stage]
    for base in (Activation, HiddenActivation, Penalty, Pairing):
        kinds += _with_subclasses(base)
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in kinds}
    return sorted(name for name in names if name.startswith("skce."))


def _with_subclasses(kind):
    return [kind, *(c for sub in kind.__subclasses__() for c in _with_subclasses(sub))]
