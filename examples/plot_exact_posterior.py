"""
Softmax is the posterior of exponential families
================================================

Section 3 of the paper: if the classes come from one exponential family with a common
scale, their posterior is a softmax of affine functions of x. A network without hidden
units can represent it exactly.

The table has the root mean square error of its fitted coefficients for Gaussian and for
Poisson classes, and the error that the theory of maximum likelihood predicts.
"""

import matplotlib.pyplot as plt

from skce.paper import section_3

table = section_3(sizes=(400, 1600, 6400), n_repeats=25)
print(table.to_string(float_format="{:.3f}".format))

# %%
# On logarithmic axes the errors follow the theoretical lines: they fall as n^(-1/2),
# with the predicted constant.

fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
for (family, rows), marker in zip(table.groupby("family"), "os", strict=True):
    n = rows.index.get_level_values("n")
    (line,) = ax.loglog(n, rows["asymptotic"], "--", label=f"{family}, in theory")
    ax.errorbar(
        n,
        rows["rms_error"],
        yerr=2 * rows["ratio_error"] * rows["asymptotic"],
        fmt=marker,
        c=line.get_color(),
        capsize=4,
        label=f"{family}, fitted (two standard errors)",
    )
ax.set(xlabel="cases n", ylabel="error of a coefficient (rms)", title="No hidden units")
ax.set_xticks(n, n)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
errors = [0.03, 0.05, 0.1, 0.2]
ax.set_yticks(errors, errors)
ax.tick_params(axis="y", which="minor", left=False, labelleft=False)
ax.legend()
plt.show()
