"""Charts and tables of recorded results, made when the site is built.

`{chart} NAME` draws a function of `CHARTS` twice, for light and for dark pages;
`{scores}` makes the summary of docs/quality.csv. The figures come from that file, from
docs/study.csv and from the tables of docs/benchmarks.md, which the commands on those
pages write.
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList
from matplotlib.figure import Figure

from skce.study import difference_figure, rank_figure, read_results

DOCS = Path(__file__).parents[1]
CHART_FOLDER = DOCS / "generated" / "charts"  # ignored by git
REFERENCE = "MLPClassifier"
LABELS = {
    "PairedMLPClassifierCV": "PairedMLPClassifierCV()",
    "PairedMLPClassifier": "PairedMLPClassifier()",
    "HistGradientBoosting": "HistGradientBoostingClassifier()",
    "LogisticRegression": "LogisticRegression()",
    "MLPClassifier": "MLPClassifier()",
    "alpha=1e-4": "PairedMLPClassifier(alpha=1e-4)",
}
# ink, and four colours that the colour-blind can tell apart
THEMES = {
    "light": ("#222832", ["#0072b2", "#d55e00", "#009e73", "#8a6d9e"]),
    "dark": ("#ced6dd", ["#56b4e9", "#f0a04b", "#3fc79a", "#cc99d6"]),
}
INKED = (
    "text.color",
    "axes.labelcolor",
    "axes.edgecolor",
    "xtick.color",
    "ytick.color",
)
MARKERS = "osD^"


def scores():
    """Return docs/quality.csv, and its log losses over those of the reference."""
    results = pd.read_csv(DOCS / "quality.csv")
    losses = results.pivot(index="table", columns="model", values="log_loss")
    return results, losses.div(losses[REFERENCE], axis=0)


def recorded(section):
    """Return the rows of a table of docs/benchmarks.md as dicts."""
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    text = page.partition(f"### {section}\n")[2].partition("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = ([c.strip() for c in line.strip("|").split("|")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def quality(colours):
    """Log loss of each table, relative to the reference."""
    _, ratios = scores()
    shown = [m for m in LABELS if m in ratios and m not in (REFERENCE, "alpha=1e-4")]
    ratios = ratios.sort_values("PairedMLPClassifier", ascending=False)
    figure = Figure(figsize=(6.4, 7.2), layout="constrained")
    ax = figure.add_subplot()
    places = np.arange(len(ratios))
    for i, model in reversed(list(enumerate(shown))):
        style = {"color": colours[i], "marker": MARKERS[i], "label": LABELS[model]}
        size = 6 if model.startswith("Paired") else 4
        ax.plot(ratios[model], places, linestyle="", markersize=size, **style)
    ax.axvline(1, color="gray", linewidth=1, zorder=0)
    ax.set_xscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(places, ratios.index)
    ax.grid(axis="y", alpha=0.25)
    ax.set_xlabel("log loss relative to MLPClassifier() (logarithmic; left is better)")
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside upper center", ncols=2)
    return figure


def time_to_quality(colours):
    """Seconds until the best test log loss of adam, by problem."""
    rows = recorded("large")
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    ax = figure.add_subplot()
    for i, row in enumerate(reversed(rows)):
        adam, ours = row["adam"], row["skce"]
        ax.barh(i + 0.2, float(adam), 0.36, color=colours[1])
        ax.annotate(f" {adam} s", (float(adam), i + 0.2), va="center")
        if re.fullmatch(r"[\d.]+", ours):
            ax.barh(i - 0.2, float(ours), 0.36, color=colours[0])
            text = f" {ours} s"
        else:
            text = f" not reached in {ours.split()[-1]} s"
        ax.annotate(
            text, (float(ours) if text[1].isdigit() else 0.1, i - 0.2), va="center"
        )
    names = [row["problem"].replace(", ", "\n", 1) for row in reversed(rows)]
    ax.set_yticks(range(len(rows)), names)
    ax.set_xscale("log")
    ax.set_xlim(0.1, 100)
    ax.set_ylim(-0.6, len(rows) - 0.5)
    ax.minorticks_off()
    ax.set_xticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.set_xlabel("seconds to adam's best test log loss + 1 % (logarithmic)")
    sides = {"MLPClassifier, adam": colours[1], "skce, best max_iter": colours[0]}
    handles = [mpl.patches.Patch(color=colour, label=s) for s, colour in sides.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def evaluation(colours):
    """Time of one objective and gradient of each peer, relative to skce."""
    rows = recorded("evaluation")[::-1]
    peers = ["MLP/skce", "torch/skce", "JAX/skce"]
    names = ["MLPClassifier", "torch", "JAX"]
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    ax = figure.add_subplot()
    for i, (peer, name) in enumerate(zip(peers, names, strict=True)):
        values = np.array([re.findall(r"[\d.]+", r[peer]) for r in rows], dtype=float)
        middle, least, largest = values.T
        ax.errorbar(
            middle,
            np.arange(len(rows)) + 0.22 * (1 - i),
            xerr=[middle - least, largest - middle],
            fmt=MARKERS[i],
            color=colours[(1, 2, 3)[i]],
            markersize=5,
            linewidth=1,
            label=name,
        )
    ax.axvline(1, color="gray", linewidth=1)
    ax.set_xscale("log")
    ticks = [0.5, 1, 2, 5, 10]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_yticks(range(len(rows)), [f"{r['shape']}, {r['dtype']}" for r in rows])
    ax.set_xlabel(
        "time of the peer / time of skce (logarithmic; right of 1: skce faster)"
    )
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def study_ranks(colours):
    """Critical-difference diagrams of log loss and accuracy."""
    results = read_results(DOCS / "study.csv")
    return rank_figure(results, color=colours[0])


def study_differences(colours):
    """Differences of log loss to the default pair, by table."""
    results = read_results(DOCS / "study.csv")
    pairs = [
        "softmax x binary_cross_entropy",
        "softmax x least_squares",
        "sparsemax x natural",
    ]
    return difference_figure(results, pairs, colors=(*colours[:2], "gray"))


CHARTS = {
    "study_ranks": study_ranks,
    "study_differences": study_differences,
    "quality": quality,
    "time_to_quality": time_to_quality,
    "evaluation": evaluation,
}


class Chart(Directive):
    """An SVG for light pages and one for dark ones."""

    required_arguments = 1
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        """Draw both and return their images."""
        (name,) = self.arguments
        CHART_FOLDER.mkdir(parents=True, exist_ok=True)
        images = []
        for theme, (ink, colours) in THEMES.items():
            style = dict.fromkeys(INKED, ink)
            style |= {"font.size": 11, "legend.frameon": False, "svg.hashsalt": name}
            style |= {"axes.spines.top": False, "axes.spines.right": False}
            path = CHART_FOLDER / f"{name}-{theme}.svg"
            with mpl.rc_context(style):
                figure = CHARTS[name](colours)
                figure.savefig(path, transparent=True, metadata={"Date": None})
            uri = f"/{path.relative_to(DOCS).as_posix()}"
            image = nodes.image(uri=uri, alt=self.options["alt"])
            image["classes"].append(f"only-{theme}")
            images.append(image)
        return images


class Scores(Directive):
    """The summary of docs/quality.csv: one row per model."""

    def run(self):
        """Return the table."""
        results, ratios = scores()
        lines = [
            "| model | log loss, geometric mean | worst ratio | better on | accuracy "
            "| seconds per fit | tables with warnings |",
            "|---|---|---|---|---|---|---|",
        ]
        for model, label in LABELS.items():
            own = results[results["model"] == model]
            ratio = ratios[model]
            mean = f"{np.exp(np.log(ratio).mean()):.2f}"
            worst = f"{ratio.max():.2f} ({ratio.idxmax()})"
            if model == REFERENCE:
                worst = better = "-"
            else:
                better = str((ratio < 1).sum())
            cells = [f"`{label}`", mean, worst, better]
            cells += [f"{own['accuracy'].mean():.3f}", f"{own['seconds'].mean():.1f}"]
            cells += [str((own["warnings"] > 0).sum())]
            lines.append(f"| {' | '.join(cells)} |")
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines), self.content_offset, parent)
        return parent.children


def setup(app):
    """Register both directives."""
    app.add_directive("chart", Chart)
    app.add_directive("scores", Scores)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
