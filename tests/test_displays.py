"""Displays: the data they draw, scikit-learn's protocol, and no clipped text."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skce import (
    LossCurveDisplay,
    PairedMLPClassifier,
    PairingComparisonDisplay,
    PenaltyDisplay,
    compare_pairings,
)
from skce.inspection._plotting import line_style
from skce.losses.intervals import Interval
from skce.losses.penalties import PENALTIES, Penalty

X, y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def classifier(**parameters):
    defaults = {"hidden_layer_sizes": 3, "alpha": 0.1, "random_state": 0}
    return PairedMLPClassifier(**defaults | parameters)


@pytest.fixture(scope="module")
def comparison():
    return compare_pairings(classifier(max_iter=5000), X, y, cv=3)


def texts(figure):
    """All visible texts of a figure outside the plotting area of its axes."""
    figure.canvas.draw()
    for ax in figure.axes:
        yield from (ax.title, ax.xaxis.label, ax.yaxis.label)
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            low, high = sorted(limits)
            for place, label in zip(
                axis.get_ticklocs(), axis.get_ticklabels(), strict=True
            ):
                if low <= place <= high:
                    yield label
        if ax.get_legend() is not None:
            yield from ax.get_legend().get_texts()


def assert_no_text_is_clipped(figure):
    figure.canvas.draw()
    for ax in figure.axes:
        for text in ax.texts:  # contour labels
            extent, inside = text.get_window_extent(), ax.bbox
            assert inside.x0 <= extent.x0 < extent.x1 <= inside.x1, text
            assert inside.y0 <= extent.y0 < extent.y1 <= inside.y1, text
    box = figure.bbox
    found = [text for text in texts(figure) if text.get_text()]
    assert found
    for text in found:
        extent = text.get_window_extent()
        assert extent.x0 >= box.x0 - 1, text
        assert extent.x1 <= box.x1 + 1, text
        assert extent.y0 >= box.y0 - 1, text
        assert extent.y1 <= box.y1 + 1, text


@pytest.mark.parametrize("kind", ["contours", "curves"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_penalty_display_draws_the_values_of_the_penalty(penalty, kind):
    display = PenaltyDisplay.from_penalty(penalty, kind=kind)
    t, y = np.meshgrid(display.t, display.y, indexing="ij")
    inside = (y > 0) & (y < 1)
    np.testing.assert_array_equal(
        display.values[inside], PENALTIES[penalty].value(t[inside], y[inside])
    )
    assert penalty in display.ax_.get_title()
    assert display.ax_.get_xlabel() == "output y"
    has_unit = "nats" in display.ax_.get_title() + display.ax_.get_ylabel()
    assert has_unit == (PENALTIES[penalty].unit == "nats")
    assert_no_text_is_clipped(display.figure_)


@pytest.mark.parametrize(
    ("penalty", "best"),
    [
        ("least_squares", "diagonal"),
        ("binary_cross_entropy", "diagonal"),
        ("cross_entropy", "one"),
    ],
)
def test_dashed_line_is_the_minimum_over_the_outputs(penalty, best):
    display = PenaltyDisplay.from_penalty(penalty)
    y, t = display.ax_.lines[0].get_data()
    np.testing.assert_array_equal(y, t if best == "diagonal" else 1.0)
    assert len(t) >= 500


def test_lines_differ_in_style_or_marker():
    display = PenaltyDisplay.from_penalty(
        "binary_cross_entropy", kind="curves", targets=[0, 0.25, 0.75, 1]
    )
    styles = [line.get_linestyle() for line in display.ax_.lines]
    assert len(set(styles)) == 4
    ax = None
    for penalty in ("cross_entropy", "least_squares", "binary_cross_entropy"):
        fit = classifier(penalty=penalty).fit(X, y)
        ax = LossCurveDisplay.from_estimator(fit, ax=ax).ax_
    assert len({line.get_marker() for line in ax.lines}) == 3
    assert len({line.get_linestyle() for line in ax.lines}) == 3


def test_penalties_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="kind='surface' must be 'contours' or"):
        PenaltyDisplay.from_penalty("cross_entropy", kind="surface")
    with pytest.raises(ValueError, match="depends on the activation: pass the name"):
        PenaltyDisplay.from_penalty("natural")
    with pytest.raises(ValueError, match="contours need at least two targets"):
        PenaltyDisplay.from_penalty("cross_entropy", targets=0.5)
    assert PenaltyDisplay.from_penalty(
        "cross_entropy", targets=0.5, kind="curves"
    ).values.shape == (1, 501)


class ItakuraSaito(Penalty):
    """y / t - log(y / t) - 1: finite nowhere for t = 0."""

    domain = Interval(0, np.inf)

    def value(self, t, y):
        return y / t - np.log(y / t) - 1


def test_targets_where_the_penalty_is_infinite_have_no_minimum():
    display = PenaltyDisplay.from_penalty(ItakuraSaito())
    assert display.minimum[2] == 0
    assert len(display.ax_.lines[0].get_xdata()) == 500  # t = 0 has no minimum
    with pytest.raises(ValueError, match="not finite for any of these targets"):
        PenaltyDisplay.from_penalty(ItakuraSaito(), targets=[0.0, 0.0])


def test_matplotlib_keywords_may_be_given_under_any_alias(comparison):
    curves = {"kind": "curves", "linestyle": ":", "linewidth": 3, "c": "r"}
    line = PenaltyDisplay.from_penalty("cross_entropy", **curves).ax_.lines[0]
    assert (line.get_linestyle(), line.get_linewidth(), line.get_color()) == (
        ":",
        3,
        "r",
    )
    PenaltyDisplay.from_penalty("cross_entropy", cmap="viridis")
    fit = classifier().fit(X, y)
    (line,) = LossCurveDisplay.from_estimator(fit, ls=":", ms=9, label="mine").lines_
    assert (line.get_linestyle(), line.get_markersize()) == (":", 9)
    assert line.get_label() == "mine"
    PairingComparisonDisplay.from_comparison(comparison, markersize=9, c="b")


def test_the_first_thirty_line_styles_differ():
    styles = [line_style(i) for i in range(30)]
    assert len({str(style) for style in styles}) == 30


def test_loss_curves_need_neither_name_nor_row_counts():
    display = LossCurveDisplay(curves=[[3.0, 2.0], [1.0]]).plot()
    assert [len(line.get_xdata()) for line in display.lines_] == [2, 1]
    ax = plt.subplots()[1]
    ax.set_title("mine")
    assert display.plot(ax).ax_.get_title() == "mine"


def test_loss_curve_is_that_of_the_fit_also_in_pipelines_and_searches():
    fit = classifier().fit(X, y)
    search = GridSearchCV(make_pipeline(classifier()), {}, cv=2).fit(X, y)
    for estimator in (fit, make_pipeline(classifier()).fit(X, y), search):
        display = LossCurveDisplay.from_estimator(estimator)
        (line,) = display.lines_
        np.testing.assert_array_equal(line.get_ydata(), fit.loss_curve_)
        np.testing.assert_array_equal(line.get_xdata(), 1 + np.arange(fit.n_iter_))
        assert display.ax_.get_legend().get_texts()[0].get_text() == str(fit.pairing_)
        assert display.ax_.get_ylabel() == "objective per row, with the L2 term (nats)"
        assert_no_text_is_clipped(display.figure_)


def test_loss_curves_of_stages_are_drawn_one_after_another():
    fit = classifier(growing_sample=True, alpha=1).fit(
        np.tile(X, (8, 1)), np.tile(y, 8)
    )
    display = LossCurveDisplay.from_estimator(fit)
    assert len(fit.stages_) > 1
    assert len(display.lines_) == len(fit.stages_)
    iterations = np.concatenate([line.get_xdata() for line in display.lines_])
    np.testing.assert_array_equal(iterations, 1 + np.arange(len(iterations)))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    rows = ", ".join(str(stage.n_rows) for stage in fit.stages_)
    assert labels == [f"softmax x cross_entropy ({rows} rows)"]
    assert len({line.get_color() for line in display.lines_}) == 1


def test_loss_curve_of_other_estimators():
    other = MLPClassifier((3,), max_iter=500, tol=1e-2, random_state=0).fit(X, y)
    display = LossCurveDisplay.from_estimator(other, name="adam", color="k")
    assert display.lines_[0].get_color() == "k"
    assert display.ax_.get_ylabel() == "objective per row, with the L2 term"
    for estimator in (LogisticRegression(max_iter=1000).fit(X, y), classifier()):
        with pytest.raises(ValueError, match=r"has no loss_curve_|not fitted yet"):
            LossCurveDisplay.from_estimator(estimator)


def test_fits_of_different_penalties_share_axes_without_a_unit():
    ax = LossCurveDisplay.from_estimator(classifier().fit(X, y)).ax_
    fit = classifier(penalty="least_squares").fit(X, y)
    assert LossCurveDisplay.from_estimator(fit, ax=ax).ax_ is ax
    assert ax.get_ylabel() == "objective per row, with the L2 term"


def test_comparison_display_has_one_point_and_interval_per_pair(comparison):
    for scoring in comparison.scores:
        display = PairingComparisonDisplay.from_comparison(comparison, scoring=scoring)
        table = comparison.summary(scoring)
        best = comparison.best(scoring)
        assert display.names[0] == comparison.names[comparison.pairings.index(best)]
        np.testing.assert_array_equal(
            display.centres, np.sort(table["difference"])[::-1]
        )
        ticks = [tick.get_text() for tick in display.ax_.get_yticklabels()]
        assert ticks == display.names
        assert display.ax_.get_title() == scoring
        segments = display.ax_.collections[0].get_segments()
        ends = np.array([segment[:, 0] for segment in segments[1:]])  # all but the best
        np.testing.assert_allclose(ends, np.c_[display.lower, display.upper][1:])
        assert_no_text_is_clipped(display.figure_)


def test_from_estimator_passes_its_arguments_to_compare_pairings():
    pairs = [("softmax", "cross_entropy"), ("softmax", "least_squares")]
    display = PairingComparisonDisplay.from_estimator(
        classifier(), X, y, pairings=pairs, cv=2, scoring="accuracy"
    )
    assert len(display.names) == 2
    assert display.ax_.get_title() == "accuracy"
    assert display.comparison_.pairings == pairs
    with pytest.raises(ValueError, match="must be what compare_pairings returns"):
        PairingComparisonDisplay.from_comparison("softmax")


def test_displays_draw_on_the_given_axes(comparison):
    figure, axes = plt.subplots(1, 3)
    fit = classifier().fit(X, y)
    displays = [
        PenaltyDisplay.from_penalty("cross_entropy", ax=axes[0]),
        LossCurveDisplay.from_estimator(fit, ax=axes[1]),
        PairingComparisonDisplay.from_comparison(comparison, ax=axes[2]),
    ]
    for display, ax in zip(displays, axes, strict=True):
        assert display.ax_ is ax
        assert display.figure_ is figure
        assert display.plot() is display  # plotted again, on new axes
        assert display.ax_ is not ax
