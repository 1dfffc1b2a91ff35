"""
Every activation and every penalty
==================================

This page shows all output activations, their natural losses, and all penalties (at the
defaults of their parameters). A row of three classes has the logits m, 0 and -1; its
true class is the first.

Outputs
-------

The outputs of each activation for these three logits. An output of an element-wise
activation depends only on its own logit, so only one curve varies with m. The outputs
of the other activations sum to 1; those of sparsemax and entmax can be exactly 0.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np

from skce.losses import (
    ACTIVATIONS,
    PARAMETRIC_PENALTIES,
    PENALTIES,
    pair,
    pairing_status,
)

m = np.linspace(-4, 4, 401)
logits = np.array([m, np.zeros_like(m), np.full_like(m, -1)])
targets = np.zeros_like(logits)
targets[0] = 1


def panels(n, ylabel):
    """Return a figure of n panels in two columns, with shared labels of the axes."""
    n_rows = -(-n // 2)
    fig, axes = plt.subplots(
        n_rows, 2, figsize=(6, 1 + 1.9 * n_rows), layout="constrained", sharex=True
    )
    for ax in axes.flat[n:]:
        ax.remove()
    for ax in axes.flat[:n]:
        ax.axvline(0, c="0.85", lw=0.8)
        ax.tick_params(labelbottom=ax in axes.flat[max(n - 2, 0) :])
    fig.supxlabel("logit m of the true class")
    fig.supylabel(ylabel)
    return fig, axes.flat[:n]


def add_legend(fig, ax):
    """Add one legend for all panels, above them."""
    handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=len(handles[0]))


fig, axes = panels(len(ACTIVATIONS), "output")
for ax, (name, activation) in zip(axes, ACTIVATIONS.items(), strict=True):
    labels = ("y of logit m", "of logit 0", "of logit -1")
    for y, label, style in zip(
        activation.value(logits), labels, ("-", "--", ":"), strict=True
    ):
        ax.plot(m, y, style, label=label)
    ax.set_title(name)
add_legend(fig, axes[0])
plt.show()

# %%
# Natural losses
# --------------
#
# The natural loss of each activation, and its slope with respect to the logit of the
# true class. For every activation the slope is y - 1, which vanishes only where the
# output is right. With an element-wise activation, the outputs of the other classes add
# to the loss, so it does not tend to 0.


def draw_loss(ax, pairing):
    """Draw the loss of a row, and its slope in the logit of the true class."""
    loss, delta = pairing.loss_and_delta(logits, targets)
    ax.plot(m, loss, label="loss of the row")
    ax.plot(m, delta[0], "--", label="its slope")
    ax.axhline(0, c="0.85", lw=0.8)


natural = [name for name, f in ACTIVATIONS.items() if f.natural_loss is not None]
fig, axes = panels(len(natural), "loss, and slope in m")
for ax, name in zip(axes, natural, strict=True):
    draw_loss(ax, pair(name, "natural"))
    ax.set_title(name)
add_legend(fig, axes[0])
plt.show()

# %%
# Penalties
# ---------
#
# Each penalty is shown with softmax outputs, or with the activation in brackets. On the
# left, where the row is confidently misclassified, some losses have a constant slope
# and some are flat. Where the loss is flat the row hardly counts, which helps if its
# label is wrong, but a fit can get stuck there. For a penalty that depends on class
# frequencies, the true class is the rarest.

penalties = [*PENALTIES.values(), *(kind() for kind in PARAMETRIC_PENALTIES)]
fig, axes = panels(len(penalties), "loss, and slope in m")
for ax, penalty in zip(axes, penalties, strict=True):
    given = penalty.for_frequencies(lambda: np.array([0.1, 0.3, 0.6]))
    activation = next(
        name
        for name in ("softmax", *ACTIVATIONS)
        if pairing_status(name, given) in ("natural", "workable")
    )
    draw_loss(ax, pair(activation, given))
    other = "" if activation == "softmax" else f" ({activation})"
    ax.set_title(type(penalty).__name__ + other)
add_legend(fig, axes[0])
plt.show()
