"""The paper's experiment: shared data, reproducible for any n_jobs."""

import numpy as np
import pandas as pd
import pytest

from skce.losses.pairings import pair
from skce.paper.sweep import figure_map, map_protocols, map_table, rankings
from skce.paper.trials import PAIRINGS, Protocol, by_pair, run_trials


@pytest.fixture(scope="module")
def trials():
    return run_trials(4)


def test_trials_have_one_row_per_trial_and_pair(trials):
    assert len(trials) == 4 * len(PAIRINGS)
    assert list(by_pair(trials, "quantity_4").columns) == [
        " x ".join(names) for names in PAIRINGS
    ]


def test_rates_of_a_class_sum_to_one_and_agree_with_the_diagonal(trials):
    for i in range(1, 5):
        rates = trials[[f"rate_{i}{j}" for j in range(1, 5)]]
        np.testing.assert_allclose(rates.sum(axis=1), 1)
    diagonal = trials[[f"rate_{i}{i}" for i in range(1, 5)]].mean(axis=1)
    np.testing.assert_allclose(trials["mean_diagonal"], diagonal)


def test_a_trial_depends_only_on_the_seed_and_its_number(trials):
    pd.testing.assert_frame_equal(run_trials(2), trials[: 2 * len(PAIRINGS)])
    alone = run_trials(2, pairings=PAIRINGS[2:3])["quantity_4"]
    np.testing.assert_array_equal(
        alone, by_pair(trials, "quantity_4").iloc[:2]["softmax x cross_entropy"]
    )
    assert (run_trials(2, seed=1)["quantity_4"] != trials["quantity_4"][:8]).all()


def test_trials_do_not_depend_on_the_number_of_processes(trials):
    pd.testing.assert_frame_equal(run_trials(4, n_jobs=2), trials)


def test_projection_lowers_the_distance_of_logistic_outputs(trials):
    softmax = trials[trials["pairing"].str.startswith("softmax")]
    for how in ("normalised", "projected"):  # neither changes softmax
        np.testing.assert_allclose(
            softmax[f"quantity_4_{how}"], softmax["quantity_4"], rtol=1e-12
        )
    # projecting on a convex set brings closer to its points, the posterior among them
    logistic = trials[trials["pairing"].str.startswith("logistic")]
    assert (logistic["quantity_4_projected"] < logistic["quantity_4"]).all()


def test_protocols_do_not_influence_each_other():
    first = run_trials(2, [Protocol(max_iter=5), Protocol(max_iter=9)])
    shorter = run_trials(2, [Protocol(max_iter=5)])
    np.testing.assert_array_equal(
        first.loc[first["max_iter"] == 5, "quantity_4"], shorter["quantity_4"]
    )
    assert first.groupby("max_iter")["quantity_4"].mean().is_monotonic_decreasing


def test_the_sweep_has_every_setting_and_draws_a_panel_for_each():
    protocols = map_protocols(hidden=(2, 3), max_iter=(4, 16), alpha=(0.0, 1.0))
    trials = run_trials(3, protocols)
    table = map_table(trials)
    assert len(table) == len(protocols) * len(PAIRINGS) == 32
    order = rankings(trials)
    assert order.shape == (4, 2)
    for text in order.to_numpy().ravel():
        assert sorted(text[::2]) == sorted("LSCB")
        assert set(text[1::2]) <= {">", "~"}
    for column in ("quantity_4", "mean_diagonal"):
        axes = figure_map(table, column).axes
        assert len(axes) == 4
        assert all(len(ax.lines) == len(PAIRINGS) for ax in axes)


def test_rankings_put_the_worst_first_and_mark_ties():
    rng = np.random.default_rng(0)
    names = [" x ".join(pair) for pair in PAIRINGS]
    noise = rng.normal(size=(50, 4))
    values = noise[:, :1] + 0.1 * noise + np.array([3.0, 2.0, 1.0, 1.0])
    values[:, 3] += values[:, 2].mean() - values[:, 3].mean() + 1e-4
    trials = pd.DataFrame(
        [
            {"trial": i, "alpha": 0, "hidden": 4, "max_iter": 8, "pairing": name}
            | {"quantity_4": value}
            for i, row in enumerate(values)
            for name, value in zip(names, row, strict=True)
        ]
    )
    assert rankings(trials).iloc[0, 0] == "L>S>B~C"


def test_neighbours_within_two_standard_errors_are_tied():
    names = [str(pair(*names)) for names in PAIRINGS]
    noise = np.array([1.0, -1.0] * 8)  # mean 0, standard error 0.258
    for shift, order in ((0.4, "L>S>C~B"), (0.6, "L>S>C>B")):
        values = [noise + 9, noise + 6, 0 * noise + shift, noise]
        trials = pd.DataFrame(
            {"trial": i, "alpha": 0, "hidden": 4, "max_iter": 8}
            | {"pairing": name, "quantity_4": column[i]}
            for name, column in zip(names, values, strict=True)
            for i in range(16)
        )
        assert rankings(trials).iloc[0, 0] == order
