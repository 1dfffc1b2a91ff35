"""Which pairs are natural, workable, degenerate or undefined, from two intervals."""

from typing import Any

from skce.losses._base import follows
from skce.losses.activations import ACTIVATIONS, Activation, get_activation
from skce.losses.penalties import PENALTIES, Penalty, get_penalty

__all__ = [
    "legal_penalties",
    "pairing_grid",
    "pairing_status",
    "takes_multilabel",
]


def pairing_status(activation: str | Activation, penalty: str | Penalty) -> str:
    """Tell whether a pair is natural, workable, degenerate or undefined.

    Parameters
    ----------
    activation : str or Activation
    penalty : str or Penalty
        "natural" stands for the natural loss of the activation.

    Returns
    -------
    status : {"natural", "workable", "degenerate", "undefined"}
        undefined: the penalty is not finite on all of the activation's range.
        natural: the gradient in the logits is outputs minus targets; with no hidden
        layer the problem is convex.
        degenerate: the penalty needs outputs that sum to 1, and these do not.
        workable: all others. With a proper penalty these too estimate probabilities,
        whatever the activation (Reid & Williamson 2010, "Composite binary losses",
        JMLR 11); probit x binary_cross_entropy is a likelihood, yet not natural.

    Raises
    ------
    ValueError
        If `activation` or `penalty` is unknown.

    Examples
    --------
    >>> from skce import pairing_status
    >>> pairing_status("softmax", "cross_entropy")
    'natural'
    >>> pairing_status("identity", "cross_entropy")
    'undefined'
    """
    activation = get_activation(activation)
    if isinstance(penalty, str) and penalty == "natural":
        return "undefined" if activation.natural_loss is None else "natural"
    penalty, natural = get_penalty(penalty), activation.natural_penalty
    has_natural_loss = activation.natural_loss is not None
    if has_natural_loss and natural is not None and follows(penalty, natural):
        return "natural"
    if not activation.range <= penalty.domain:
        return "undefined"
    if not activation.on_simplex and penalty.needs_simplex:
        return "degenerate"
    return "workable"


def takes_multilabel(activation: str | Activation, penalty: str | Penalty) -> bool:
    """Tell whether a pair can be fitted to several labels per row."""
    natural = isinstance(penalty, str) and penalty == "natural"
    by_label = natural or get_penalty(penalty).elementwise
    return by_label and get_activation(activation).elementwise


def legal_penalties(activation: str | Activation) -> list[str]:
    """List the names of the penalties that `activation` can take, best first.

    Examples
    --------
    >>> from skce.losses.pairings import legal_penalties
    >>> legal_penalties("sparsemax")[:2]
    ['natural', 'least_squares']
    """
    activation = get_activation(activation)
    statuses = {name: pairing_status(activation, name) for name in PENALTIES}
    has_name = "natural" in statuses.values()
    unnamed = not has_name and pairing_status(activation, "natural") == "natural"

    def rank(name: str) -> tuple[int, bool]:
        order = ("natural", "workable", "degenerate").index(statuses[name])
        return order, not PENALTIES[name].is_likelihood(activation)

    legal = [name for name, status in statuses.items() if status != "undefined"]
    return ["natural"] * unnamed + sorted(legal, key=rank)


def pairing_grid(
    prefix: str = "",
    *,
    include_degenerate: bool = False,
    multilabel: bool = False,
    ordered: bool = False,
) -> list[dict[str, list[Any]]]:
    """List all pairs of the registries that can be fitted, as a grid for GridSearchCV.

    One pair for each name in `ACTIVATIONS` and each name in `PENALTIES` that can be
    paired with it. A pair is named by its penalty, or by "natural" where the natural
    loss is not a registered penalty (entmax, sparsemax). Instances with other
    parameters, such as `Entmax(1.2)` or `Focal(2)`, are not listed: they would multiply
    the fits of a search, and can be added as dicts of the same form.

    Parameters
    ----------
    prefix : str, default=""
        Prepended to the parameter names: "clf__" if the classifier is the step
        "clf" of a pipeline.
    include_degenerate : bool, default=False
        Whether to list the pairs whose status is degenerate.
    multilabel : bool, default=False
        Whether to list only the pairs that can be fitted to a multilabel y.
    ordered : bool, default=False
        Whether the classes have an order, so that the pairs of ordinal outputs are
        listed as well.

    Returns
    -------
    grid : list of dict
        One dict per pair, `{"activation": [name], "penalty": [name]}`.

    Raises
    ------
    ValueError
        If `prefix` is neither empty nor ends in "__".

    Examples
    --------
    To search other parameters as well, alpha above all, add them to each pair:

    >>> from skce import pairing_grid
    >>> alphas = {"clf__alpha": [0.01, 0.1, 1]}
    >>> grid = [pair | alphas for pair in pairing_grid("clf__")]
    >>> grid[0]["clf__activation"], grid[0]["clf__penalty"], grid[0]["clf__alpha"]
    (['identity'], ['least_squares'], [0.01, 0.1, 1])

    A multilabel y needs element-wise outputs:

    >>> grid = pairing_grid(multilabel=True)
    >>> {"activation": ["logistic"], "penalty": ["least_squares"]} in grid
    True
    >>> {"activation": ["softmax"], "penalty": ["least_squares"]} in grid
    False
    """
    if prefix and not (isinstance(prefix, str) and prefix.endswith("__")):
        raise ValueError(
            f"prefix={prefix!r} must be empty or the name of a pipeline step "
            "followed by two underscores, such as 'clf__'."
        )
    return [
        {f"{prefix}activation": [name], f"{prefix}penalty": [penalty]}
        for name, activation in ACTIVATIONS.items()
        if ordered or not activation.ordered
        for penalty in legal_penalties(activation)
        if takes_multilabel(activation, penalty) or not multilabel
        if include_degenerate or pairing_status(activation, penalty) != "degenerate"
    ]
