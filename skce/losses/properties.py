"""What theory says about a pair: proper, calibrated, convex, bounded, flat where wrong.

Where the classes declare an answer, it is by formula: natural pairs by the theorem of
the natural loss, others by the penalty's `posterior_of`. All other answers are computed
from the expected loss at fixed posteriors and logits, as are the declared ones, to find
wrong declarations.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skce.losses._findings import Finding, computed, declared, wrong_declarations
from skce.losses._risk import ConditionalRisk
from skce.losses.activations import Activation
from skce.losses.pairings import Pairing, pair
from skce.losses.penalties import Penalty

__all__ = ["Finding", "PairingProperties", "pairing_properties"]

TITLES = {
    "proper": "proper",
    "strictly_proper": "strictly proper",
    "calibrated": "calibrated for 0-1 loss",
    "convex": "convex in the logits",
    "bounded": "bounded in a wrong label",
    "flat_when_wrong": "flat where wrong",
    "sensitive_to_small_probabilities": "weighs small probabilities",
}


@dataclass(frozen=True, repr=False)
class PairingProperties:
    """What theory says about a pair; `print` shows it as a table.

    P stands for the true posterior, the loss for that of one row with a label.

    Attributes
    ----------
    pairing : Pairing
    n_classes : int
        For which answers were computed, with one output unit each.
    proper : Finding
        Whether no outputs have a smaller expected loss than P itself. Otherwise its
        reason is what is estimated instead: `posterior_of` as a formula, or an example.
    strictly_proper : Finding
        Whether no others have one as small.
    calibrated : Finding
        Whether the class that is predicted where the expected loss is smallest, the one
        of the largest probability, is always one of the largest P, also where no class
        has half of it.
    convex : Finding
        Whether the loss of each label is convex in the logits, and with it the problem
        of a network without hidden layers.
    bounded : Finding
        Whether a row that is wrong costs no more than a supremum, given as the reason.
    flat_when_wrong : Finding
        Whether there are logits at which the gradient of a row that is wrong vanishes:
        then a fit can stick. The reason says where: along which logits, and from which
        margin on, by which the largest logit exceeds that of the label.
    sensitive_to_small_probabilities : Finding
        Whether mistaking a small probability P for 2 P costs in proportion to P, as in
        cross-entropy, and not less, as in least squares, which counts absolute errors.
        Fits with the latter tell little about rare classes. The reason gives the power
        of P; None if it is not clear.
    contradictions : tuple of str
        Declarations of the classes that the computation contradicts; the computed
        answers stand.

    See Also
    --------
    PairingPropertiesDisplay : Draws the loss, its slope, and what is estimated.

    Examples
    --------
    >>> from skce import pairing_properties
    >>> properties = pairing_properties("softmax", "least_squares")
    >>> properties.proper.value, properties.convex.value, properties.bounded.reason
    (True, False, 'at most 1')
    """

    pairing: Pairing = field(compare=False)
    n_classes: int
    proper: Finding
    strictly_proper: Finding
    calibrated: Finding
    convex: Finding
    bounded: Finding
    flat_when_wrong: Finding
    sensitive_to_small_probabilities: Finding
    contradictions: tuple[str, ...] = ()

    @property
    def findings(self) -> dict[str, Finding]:
        """The answers by name."""
        return {name: getattr(self, name) for name in TITLES}

    def minimizing_outputs(self, p: ArrayLike) -> NDArray[np.float64]:
        """Compute the outputs whose expected loss is smallest.

        Parameters
        ----------
        p : array-like of shape (n_classes,) or (n_posteriors, n_classes)
            Posterior probabilities.

        Returns
        -------
        outputs : ndarray of the shape of `p`
            Limits, where the minimum is at infinity.

        Raises
        ------
        ValueError
            If `p` is of another shape.

        Examples
        --------
        >>> from skce import pairing_properties
        >>> from skce.losses import Focal
        >>> focal = pairing_properties("softmax", Focal(gamma=2))
        >>> focal.minimizing_outputs([0.5, 0.3, 0.2]).round(2)
        array([0.43, 0.33, 0.25])
        """
        p = np.asarray(p, dtype=float)
        if p.ndim not in (1, 2) or p.shape[-1] != self.n_classes:
            raise ValueError(
                f"p has the shape {p.shape}; it must be ({self.n_classes},) or "
                f"(n_posteriors, {self.n_classes}), as n_classes={self.n_classes}."
            )
        risk = ConditionalRisk(self.pairing, self.n_classes)
        rows = [risk.minimum(row).outputs for row in np.atleast_2d(p)]
        return np.array(rows).reshape(p.shape)

    def __str__(self) -> str:
        answers = {True: "yes", False: "no", None: "-"}
        lines = [f"{self.pairing} ({self.pairing.status}, {self.n_classes} classes)"]
        for name, finding in self.findings.items():
            answer, by = answers[finding.value], finding.by
            lines.append(f"{TITLES[name]:27}{answer:4}{by:12} {finding.reason}")
        lines += [f"WRONG DECLARATION: {text}" for text in self.contradictions]
        return "\n".join(lines)

    __repr__ = __str__


def pairing_properties(
    activation: str | Activation,
    penalty: str | Penalty,
    *,
    n_classes: int = 3,
    verify: bool = True,
) -> PairingProperties:
    """Return what theory says about a pair, built-in or user-defined.

    Parameters
    ----------
    activation : str or Activation
    penalty : str or Penalty
        "natural" stands for the natural loss of the activation.
    n_classes : int, default=3
        Number of classes, each with one output, for what is computed. A loss can be
        calibrated or convex with two classes and not with three.
    verify : bool, default=True
        Whether to compute also what the classes declare. A declaration that the
        computation contradicts is then in `contradictions`, and the computed answer
        takes its place. Takes some tenths of a second.

    Returns
    -------
    properties : PairingProperties

    Raises
    ------
    ValueError
        If the pair is undefined, or `n_classes` is less than 2.

    Notes
    -----
    By formula: everything about a natural pair but the sensitivity where the
    activation has no `logits_of`; of other pairs, whether it is proper and calibrated,
    by the penalty's `posterior_of`. By computation: the expected loss is minimised for
    eight posteriors, by descents from the best of some hundred logits; curvature is
    sought at 400 logits; slopes and suprema along the rays z = s d, d of -1, 0 and 1.
    All these points are fixed. Whether a loss is bounded is judged from its values for
    s up to 1e8, and whether a slope vanishes from those up to 1e4.

    References
    ----------
    Reid & Williamson (2010), "Composite binary losses", JMLR 11.

    Williamson, Vernet & Reid (2016), "Composite multiclass losses", JMLR 17.

    Tewari & Bartlett (2007), "On the consistency of multiclass classification methods",
    JMLR 8.

    Bartlett, Jordan & McAuliffe (2006), "Convexity, classification, and risk bounds",
    JASA 101.

    Examples
    --------
    >>> from skce import pairing_properties
    >>> from skce.losses import GeneralizedCrossEntropy
    >>> print(pairing_properties("softmax", GeneralizedCrossEntropy(q=0.5)))
    softmax x generalized_cross_entropy(q=0.5) (workable, 3 classes)
    proper                     no  formula      P_k proportional to y_k^(1 - q)
    ...
    """
    pairing = pair(activation, penalty)
    if not (isinstance(n_classes, int | np.integer) and n_classes >= 2):
        raise ValueError(f"n_classes={n_classes!r} must be an integer of at least 2.")
    risk = ConditionalRisk(pairing, int(n_classes))
    said = declared(pairing)
    # powers of a probability near 1 are beyond what can be told by computation
    names = set(TITLES) - {"sensitive_to_small_probabilities"} if verify else set()
    found = computed(risk, (set(TITLES) - said.keys()) | names)
    contradictions = wrong_declarations(risk) if verify else []
    for name, finding in found.items():
        if name in said and said[name].value != finding.value:
            contradictions.append(
                f"{TITLES[name]}: {said[name].value} by formula, as "
                f"{said[name].reason}, but {finding.reason}"
            )
    if contradictions:  # of classes with one wrong declaration none is trusted
        said = computed(risk, set(TITLES) - found.keys())
    answers = found | said
    return PairingProperties(
        pairing, int(n_classes), **answers, contradictions=tuple(contradictions)
    )
