"""Plot the loss of a pair, its slope, and the posterior that the pair estimates."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skce._support.optional import optional
from skce.inspection._plotting import line_style, with_defaults
from skce.losses.activations import Activation
from skce.losses.penalties import Penalty
from skce.losses.properties import PairingProperties, pairing_properties

__all__ = ["PairingPropertiesDisplay"]


class PairingPropertiesDisplay:
    """Plot of a pair: loss and slope against the margin, and outputs against P.

    Parameters
    ----------
    margins : ndarray of shape (n_margins,)
        m of the logits m / 2 of the label and -m / 2 of all other classes.
    losses, slopes : ndarray of shape (n_margins,)
        The loss of a row, and its derivative in m.
    posteriors : ndarray of shape (n_posteriors,)
        P of one class; all others have the same share of the rest.
    outputs : ndarray of shape (n_posteriors,)
        Of that class, where the expected loss is smallest.
    name : str
        Of the pair.
    unit : str, default=""
        Unit of the loss, such as "nats".

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    pairing_properties : The same in words.

    Examples
    --------
    Generalized cross-entropy is flat where a row is surely wrong, and its outputs are
    surer than the posterior:

    >>> from skce import PairingPropertiesDisplay
    >>> from skce.losses import GeneralizedCrossEntropy
    >>> display = PairingPropertiesDisplay.from_pairing(
    ...     "softmax", GeneralizedCrossEntropy(q=0.7))
    >>> bool(abs(display.slopes[0]) < 0.01 * abs(display.slopes).max())
    True
    >>> bool((display.outputs > display.posteriors)[display.posteriors > 0.4].all())
    True
    """

    axes_: NDArray[Any]
    figure_: Any

    def __init__(
        self,
        *,
        margins: NDArray[np.float64],
        losses: NDArray[np.float64],
        slopes: NDArray[np.float64],
        posteriors: NDArray[np.float64],
        outputs: NDArray[np.float64],
        name: str,
        unit: str = "",
    ) -> None:
        self.margins = margins
        self.losses = losses
        self.slopes = slopes
        self.posteriors = posteriors
        self.outputs = outputs
        self.name = name
        self.unit = unit

    @classmethod
    def from_pairing(
        cls,
        activation: str | Activation,
        penalty: str | Penalty,
        *,
        n_classes: int = 3,
        axes: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compute and draw a pair.

        Parameters
        ----------
        activation, penalty, n_classes
            As in `pairing_properties`.
        axes : array-like of two matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : PairingPropertiesDisplay
        """
        properties = pairing_properties(
            activation, penalty, n_classes=n_classes, verify=False
        )
        return cls.from_properties(properties, axes=axes, **kwargs)

    @classmethod
    def from_properties(
        cls, properties: PairingProperties, *, axes: Any = None, **kwargs: Any
    ) -> Self:
        """Draw what `pairing_properties` returned.

        Parameters
        ----------
        properties : PairingProperties
        axes : array-like of two matplotlib.axes.Axes, default=None
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : PairingPropertiesDisplay
        """
        pairing, q = properties.pairing, properties.n_classes
        margins = np.linspace(-12, 12, 241)
        direction = np.full((q, 1), -0.5)
        direction[0] = 0.5
        labels = np.zeros((q, margins.size))
        labels[0] = 1
        with np.errstate(all="ignore"):
            losses, delta = pairing.loss_and_delta(direction * margins, labels)
        posteriors = np.linspace(0.02, 0.98, 33)
        p = np.tile((1 - posteriors[:, np.newaxis]) / (q - 1), (1, q))
        p[:, 0] = posteriors
        display = cls(
            margins=margins,
            losses=losses,
            slopes=(direction * delta).sum(axis=0),
            posteriors=posteriors,
            outputs=properties.minimizing_outputs(p)[:, 0],
            name=str(pairing),
            unit=getattr(pairing.penalty, "unit", ""),
        )
        return display.plot(axes, **kwargs)

    def plot(self, axes: Any = None, **kwargs: Any) -> Self:
        """Draw loss and slope on the left, and what is estimated on the right.

        Parameters
        ----------
        axes : array-like of two matplotlib.axes.Axes, default=None
            New axes by default.
        **kwargs : dict
            Passed to `Axes.plot`.

        Returns
        -------
        display : PairingPropertiesDisplay
        """
        if axes is None:
            pyplot = optional("matplotlib.pyplot", "A display")
            size = {"figsize": (9, 4), "layout": "constrained"}
            axes = pyplot.subplots(1, 2, **size)[1]
        axes = np.asarray(axes)
        if axes.shape != (2,):
            raise ValueError(
                f"axes has the shape {axes.shape}; it must be two matplotlib axes."
            )
        left, right = axes

        def draw(ax: Any, i: int, x: Any, y: Any, label: str, color: str) -> None:
            style = line_style(i) | {"marker": None, "label": label, "color": color}
            ax.plot(x, y, **with_defaults(style, kwargs))

        unit = f" ({self.unit})" if self.unit else ""
        draw(left, 0, self.margins, self.losses, f"loss{unit}", "C0")
        draw(left, 1, self.margins, self.slopes, "slope", "C1")
        left.axvline(0, color="0.6", lw=1, zorder=0)
        left.axhline(0, color="0.6", lw=1, zorder=0)
        left.set(
            xlabel="margin of the label: wrong below 0",
            ylabel="loss and slope",
            title=self.name,
        )
        left.legend()

        draw(right, 0, self.posteriors, self.outputs, "output", "C0")
        draw(right, 2, (0, 1), (0, 1), "P itself", "0.2")
        right.set(
            xlabel="posterior P of a class",
            ylabel="output of smallest expected loss",
            title="what is estimated",
        )
        right.legend()
        self.axes_, self.figure_ = axes, left.figure
        return self
