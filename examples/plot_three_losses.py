"""
One network, three losses
=========================

The same network, from the same initial weights, on the paper's four Gaussian classes:
softmax with cross-entropy, softmax with least squares, and logistic outputs with
cross-entropy.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgba

from skce import DegeneratePairingWarning, PairedMLPClassifier
from skce.paper.simulation import GAUSSIAN_CLASSES

X, y = GAUSSIAN_CLASSES.sample(100, np.random.default_rng(0))
pairs = [
    ("softmax", "cross_entropy"),
    ("softmax", "least_squares"),
    ("logistic", "cross_entropy"),
]
edge = np.linspace(-3.5, 3.5, 201)
plane = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
line = np.column_stack([edge, np.ones_like(edge)])

# %%
# Top: the class of the largest output; the exact boundaries are the axes. Bottom: the
# four outputs along the dashed line, and the exact posterior probability of the first
# class.

fig, axes = plt.subplots(
    2, 3, figsize=(10, 6), layout="constrained", height_ratios=(3, 2), sharex=True
)
for (above, below), pair in zip(axes.T, pairs, strict=True):
    classifier = PairedMLPClassifier(
        *pair,
        hidden_layer_sizes=4,
        hidden_activation="logistic",
        alpha=1,
        tol=1e-6,
        standardize=False,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegeneratePairingWarning)
        classifier.fit(X, y)
    right = np.mean(classifier.predict(X) == y)
    above.pcolormesh(
        edge,
        edge,
        classifier.predict(plane).reshape(201, 201),
        cmap=ListedColormap([to_rgba(f"C{k}", 0.3) for k in range(4)]),
        vmin=0,
        vmax=3,
    )
    for k in range(4):
        above.plot(*X[y == k].T, "oxs^"[k], c=f"C{k}", ms=3, mfc="none", mew=0.7)
    above.axhline(1, ls="--", c="0.3", lw=1)
    above.set(
        title=f"{pair[0]} x {pair[1]}\nloss {classifier.loss_:.3f}, {right:.0%} right",
        xlim=(-3.5, 3.5),
        ylim=(-3.5, 3.5),
        xlabel="x1",
        ylabel="x2",
    )
    outputs = classifier.predict_outputs(line)
    for k, style in enumerate(("-", "--", "-.", ":")):
        below.plot(edge, outputs[:, k], style, c=f"C{k}", label=f"class {k + 1}")
    exact = GAUSSIAN_CLASSES.posterior(line)[:, 0]
    below.plot(edge, exact, c="0.6", lw=4, zorder=0, label="exact, class 1")
    below.set(ylim=(-0.05, 1.05), xlabel="x1, at x2 = 1", ylabel="output")
    below.set_title("outputs on the dashed line", fontsize=10)
fig.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
plt.show()

# %%
# The first two pairs estimate the same probabilities and find the same boundaries. The
# third reaches the smallest loss of all by setting every output to 1: its penalty
# rewards a large output for the right class, and does not penalise the outputs of the
# others.
