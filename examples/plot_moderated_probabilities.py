"""
Less certain far from the data
==============================

Far from its training rows a network is at least as confident as near them, because
nothing limits its logits there. `moderated=True` averages the outputs over the
posterior of the weights (MacKay 1992), which is wide in directions about which the rows
contain no information.

Two classes in the plane, 40 rows each:
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from skce import PairedMLPClassifier

X, y = make_moons(80, noise=0.2, random_state=0)
params = {"hidden_layer_sizes": 8, "hidden_activation": "tanh", "random_state": 0}
fits = {
    "plain": PairedMLPClassifier(alpha=0.5, **params),
    "moderated": PairedMLPClassifier(alpha=0.5, moderated=True, **params),
}
for fit in fits.values():
    fit.fit(X, y)

# %%
# The figure shows the larger of the two probabilities. Both networks have the same
# weights and the same boundary. Without moderation, all of the plane except a narrow
# strip is dark: the probabilities are near 1 even where there are no rows.

x1, x2 = np.linspace(-6, 7, 131), np.linspace(-6, 6.5, 126)
plane = np.stack(np.meshgrid(x1, x2), axis=-1)
fig, axes = plt.subplots(
    1, 2, figsize=(8, 4), layout="constrained", sharex=True, sharey=True
)
for ax, (name, fit) in zip(axes, fits.items(), strict=True):
    surest = fit.predict_proba(plane.reshape(-1, 2)).max(axis=1).reshape(len(x2), -1)
    shown = ax.pcolormesh(x1, x2, surest, vmin=0.5, vmax=1, cmap="Blues")
    for k in range(2):
        ax.plot(*X[y == k].T, "ox"[k], c=("C1", "k")[k], ms=3)
    ax.set(xlabel="x1", ylabel="x2", title=name)
fig.colorbar(shown, ax=axes, label="largest probability")
plt.show()

# %%
# The same along a ray from the middle of the data to the lower right: the plain
# probability rises to 1 and stays there, while the moderated one falls again.

distance = np.linspace(0, 30, 121)
ray = X.mean(axis=0) + distance[:, np.newaxis] * [np.sqrt(0.5), -np.sqrt(0.5)]
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (name, fit), style in zip(fits.items(), ("--", "-"), strict=True):
    ax.plot(distance, fit.predict_proba(ray).max(axis=1), style, label=name)
ax.set(
    xlabel="distance from the middle of the data",
    ylabel="largest probability",
    title="Along a ray",
    ylim=(0.48, 1.02),
)
ax.legend()
plt.show()
