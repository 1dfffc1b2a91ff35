"""The paper's tables: exact ones to the last digit, simulated ones by golden files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skce.paper import (
    class_rates,
    figure_1,
    figure_2,
    mean_diagonals,
    outputs_of_logistic,
    paired_differences,
    table_2,
    table_3,
    table_4,
    table_5,
    table_6,
    tutorial_figure,
)
from skce.paper.__main__ import main
from skce.paper._errata import errata, figure_1_minimum
from skce.paper._published import PUBLISHED_RATES, PUBLISHED_TABLE_2, PUBLISHED_TABLE_3
from skce.paper.simulation import GAUSSIAN_CLASSES
from skce.paper.trials import PAIRINGS, run_trials

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def trials():
    return run_trials(6)


def test_table_3_agrees_with_the_paper_to_four_decimals():
    np.testing.assert_array_equal(table_3().round(4), PUBLISHED_TABLE_3)
    assert table_3().iloc[0, 0] == pytest.approx(0.841344746068543**2, rel=1e-14)


def test_table_3_agrees_with_decisions_by_the_exact_posterior():
    n = 50_000
    X, y = GAUSSIAN_CLASSES.sample(n, np.random.default_rng(0))
    ascribed = GAUSSIAN_CLASSES.posterior(X).argmax(axis=1)
    rates = np.array([np.bincount(ascribed[y == k], minlength=4) / n for k in range(4)])
    np.testing.assert_allclose(rates, table_3(), atol=5 * 0.5 / np.sqrt(n))


def test_published_figures_are_copied_without_error():
    assert list(PUBLISHED_TABLE_2.values()) == [
        (4.621323, 0.3146437),
        (4.003461, 0.2315692),
        (3.936804, 0.1958714),
    ]
    sums = {  # of the columns of tables 4, 6 and 5, by hand
        "logistic x least_squares": (1.0145, 0.9883, 0.9976, 0.9996),
        "softmax x least_squares": (1.0068, 0.9965, 0.9878, 1.0089),
        "softmax x cross_entropy": (0.9978, 0.9965, 0.9954, 1.0103),
    }
    for name, rates in PUBLISHED_RATES.items():
        np.testing.assert_allclose(np.sum(rates, axis=0), sums[name], atol=1e-10)
        np.testing.assert_allclose(np.sum(rates, axis=1), 1, atol=2.5e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_protocol_reproduces_the_order_of_table_2(seed):
    trials = run_trials(100, pairings=PAIRINGS[:3], seed=seed)
    table = table_2(trials)
    for column in ("mean", "variance"):
        assert table[column].is_monotonic_decreasing
    to_best = paired_differences(trials)["in_standard_errors"].iloc[1:]
    assert len(to_best) == 2
    assert (to_best > 3).all()
    diagonals = mean_diagonals(trials)
    steps = diagonals["mean_diagonal"].diff().dropna()
    assert (steps > -diagonals["standard_error"].iloc[1:]).all()


def test_table_2_is_the_mean_and_variance_of_the_trials(trials):
    table = table_2(trials)
    for name, values in trials.groupby("pairing")["quantity_4"]:
        row = table.loc[name]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["variance"] == pytest.approx(np.var(values, ddof=1))
        assert row["mean_with_1/N"] == pytest.approx(np.mean(values) / 20)
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert row["standard_error"] == pytest.approx(error)
    published = table[["published_mean", "published_variance"]].dropna()
    assert [tuple(row) for row in published.to_numpy()] == list(
        PUBLISHED_TABLE_2.values()
    )
    name, (mean, variance) = next(iter(PUBLISHED_TABLE_2.items()))
    values = trials.loc[trials["pairing"] == name, "quantity_4"]
    above = (values.mean() - mean) / np.sqrt(values.var() / 6 + variance / 100)
    assert table.loc[name, "above_published"] == pytest.approx(above)


def test_standard_error_of_a_variance_of_few_trials():
    # deviations -3, -2, -1, 0, 6: m4 = 1394/5, s^2 = 12.5, and
    # (m4 - (2/4) s^4) / 5 = 40.135
    frame = pd.DataFrame(
        {"trial": range(5), "pairing": "a", "quantity_4": [1.0, 2, 3, 4, 10]}
    )
    claimed = table_2(frame)["variance_standard_error"].iloc[0]
    assert claimed == pytest.approx(np.sqrt(40.135))
    with pytest.raises(ValueError, match="at least two trials"):
        table_2(frame[:1])


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (table_4, "logistic x least_squares"),
        (table_5, "softmax x cross_entropy"),
        (table_6, "softmax x least_squares"),
    ],
)
def test_each_table_of_rates_is_that_of_its_pair(trials, table, name):
    pd.testing.assert_frame_equal(table(trials), class_rates(trials, name))


def test_several_protocols_are_not_pooled(trials):
    both = pd.concat([trials, trials.assign(max_iter=9)])
    for table in (table_2, table_4, mean_diagonals, paired_differences):
        with pytest.raises(ValueError, match="select one protocol"):
            table(both)


def test_standard_error_of_a_variance_is_the_spread_of_variances():
    rng = np.random.default_rng(0)
    variances = rng.normal(size=(2000, 50)).var(axis=1, ddof=1)
    frame = pd.DataFrame(
        {"trial": range(2000), "pairing": "a", "quantity_4": rng.normal(size=2000)}
    )
    claimed = table_2(frame)["variance_standard_error"].iloc[0]
    assert claimed * np.sqrt(2000 / 50) == pytest.approx(variances.std(), rel=0.15)


def test_paired_differences_are_taken_within_each_trial(trials):
    table = paired_differences(trials)
    assert len(table) == 6
    a, b = (
        trials.loc[trials["pairing"] == name, "quantity_4"].to_numpy()
        for name in ("logistic x least_squares", "softmax x cross_entropy")
    )
    row = table.loc["logistic x least_squares minus softmax x cross_entropy"]
    assert row["difference"] == pytest.approx(np.mean(a - b))
    error = np.std(a - b, ddof=1) / np.sqrt(len(a))
    assert row["standard_error"] == pytest.approx(error)
    assert row["in_standard_errors"] == pytest.approx(np.mean(a - b) / error)


def test_rates_agree_with_their_mean_diagonal(trials):
    rates = table_4(trials)
    assert rates.shape == (4, 12)
    np.testing.assert_array_equal(rates.to_numpy()[:, 8:], table_3())
    diagonal = np.diag(rates.to_numpy()[:, :4]).mean()
    row = mean_diagonals(trials).loc["logistic x least_squares"]
    assert row["mean_diagonal"] == pytest.approx(diagonal)
    published = np.diag(rates.to_numpy()[:, 4:8]).mean()
    assert (
        row["published"] == pytest.approx(published) == pytest.approx(0.6925, abs=5e-5)
    )


def test_gains_are_differences_of_the_means(trials):
    table = outputs_of_logistic(trials)
    assert len(table) == 2
    for how in ("normalised", "projected"):
        gain = table["as_they_are"] - table[how]
        np.testing.assert_allclose(gain, table[f"{how}_gain"])


def test_figure_1_has_its_minimum_at_1_over_e_and_figure_2_on_the_diagonal():
    t, y, rho = figure_1().minimum
    assert (y, rho) == (1, pytest.approx(-np.exp(-1), abs=1e-6))
    assert t == pytest.approx(np.exp(-1), abs=1e-3)
    display = figure_2()
    np.testing.assert_array_equal(np.diag(display.values), 0)
    assert (display.values > 0).sum() == display.values.size - len(display.t)


def test_tutorial_figure_draws_the_two_logarithms():
    display = tutorial_figure()
    y = display.y[1:-1]
    one, zero = display.values[:, 1:-1]
    assert display.t.tolist() == [1, 0]
    np.testing.assert_allclose(one, -np.log(y))
    np.testing.assert_allclose(zero, -np.log1p(-y))


def test_every_erratum_comes_with_its_figures(trials):
    texts = errata(trials)
    assert len(texts) == 4
    assert "central differences (0.0000, " in texts[0]
    assert "-0.367879 = -1/e at t = 0.367879 = 1/e, y = 1" in figure_1_minimum()


def test_a_small_run_reproduces_the_golden_files(tmp_path, capsys, request):
    """`pytest tests/test_paper.py --regenerate` rewrites the golden files."""
    regenerate = request.config.getoption("--regenerate")
    output = GOLDEN if regenerate else tmp_path
    main(["--trials", "10", "--output", str(output)])
    printed = capsys.readouterr()
    for text in ("table 1", "table 6", "published", "errata of the paper", "section 3"):
        assert text in printed.out
    assert "100%" in printed.err
    for name in ("figure_1", "figure_2", "tutorial"):
        picture = output / f"{name}.png"
        assert picture.stat().st_size > 10_000
        if regenerate:
            picture.unlink()
    expected = sorted(file.name for file in GOLDEN.glob("*.csv"))
    assert expected == sorted(file.name for file in output.glob("*.csv"))
    assert len(expected) == 12
    for name in expected:
        pd.testing.assert_frame_equal(
            pd.read_csv(output / name), pd.read_csv(GOLDEN / name), rtol=1e-5, atol=1e-7
        )
    assert (output / "errata.txt").read_text() == (GOLDEN / "errata.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "1"], "--trials 1 must be finite and at least 2"),
        (["--max-iter", "0"], "--max-iter 0 must be finite and at least 1"),
        (["--alpha", "nan"], "--alpha nan must be finite and at least 0"),
        (["--map", "1"], "--map 1 must be at least 2"),
        (["--n-jobs", "0"], "--n-jobs 0 must be positive"),
        (["--alpha", "inf"], "--alpha inf must be finite"),
        (["--output", __file__], "cannot be written to"),
    ],
)
def test_invalid_options_are_refused_with_the_allowed_values(
    arguments, message, capsys
):
    with pytest.raises(SystemExit):
        main(arguments)
    assert message in capsys.readouterr().err
