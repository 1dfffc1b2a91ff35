"""The study: tables as they are read, trials that resume, statistics by hand."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

from skce import PairedMLPClassifier
from skce.losses.penalties import LeastSquares
from skce.study import (
    critical_difference,
    difference_figure,
    differences,
    friedman_test,
    mean_ranks,
    rank_figure,
    read_results,
    summary_table,
)
from skce.study.__main__ import Work, _about, main
from skce.study._figures import _groups
from skce.study._tables import Table, find_tables, prepared, read_table
from skce.study._trials import (
    Journal,
    Settings,
    calibration_error,
    estimated_seconds,
    run_fold,
    scores,
)

PAIRS = (("softmax", "cross_entropy"), ("softmax", "least_squares"))
SMALL = Settings(
    folds=2, inner_folds=2, alphas=(0.1, 10.0), hidden=2, max_iter=30, pairs=PAIRS
)
COMMAND = ["--folds", 2, "--inner-folds", 2, "--alphas", 1, "--hidden", 2]
COMMAND += ["--max-iter", 30]


def frame(n=60, seed=0):
    rng = np.random.default_rng(seed)
    word = rng.choice(["red", "blue"], n)
    label = np.where(rng.normal(size=n) + (word == "red") > 0.5, "yes", "no")
    return pd.DataFrame({"number": rng.normal(size=n), "word": word, "label": label})


@pytest.fixture
def folder(tmp_path):
    """Two tables."""
    (tmp_path / "tables").mkdir()
    for seed, name in enumerate(("first.csv", "second.csv.gz")):
        frame(seed=seed).to_csv(tmp_path / "tables" / name, index=False)
    return tmp_path / "tables"


@pytest.fixture
def table(folder):
    return read_table("first", folder / "first.csv")


def run(*arguments):
    main([str(argument) for argument in arguments])


def without_seconds(path):
    return read_results(path).drop(columns="seconds")


def results(losses, pairs=("a", "b", "c")):
    """Results of one table per row of folds x pairs."""
    rows = [
        {"table": table, "fold": fold, "pair": pair, "log_loss": loss}
        for table, folds in enumerate(losses)
        for fold, by_pair in enumerate(folds)
        for pair, loss in zip(pairs, by_pair, strict=True)
    ]
    return pd.DataFrame(rows)


# Tables


def test_tables_are_found_in_files_folders_and_packages(folder, monkeypatch):
    package = folder.parent / "some_tables"
    (package / "raw").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "raw" / "third-1.5.dat").write_text("1, a\n2, b\n")
    monkeypatch.syspath_prepend(folder.parent)
    sources = [folder, folder / "first.csv", "some_tables/raw"]
    found, doubles = find_tables(map(str, sources))
    assert list(found) == ["first", "second", "third-1.5"]
    assert doubles == [folder / "first.csv"]
    assert list(find_tables(map(str, sources), ["first"])[0]) == ["second", "third-1.5"]


@pytest.mark.parametrize(
    ("source", "exclude", "message"),
    [
        ("no_such_place", (), "no file, no folder and no installed package"),
        ("json", (), "has no"),
        ("tables", ["third"], "no table is named third"),
        ("tables", ["first", "second"], "all tables are excluded"),
    ],
)
def test_tables_that_are_not_there(folder, monkeypatch, source, exclude, message):
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ValueError, match=message):
        find_tables([source], exclude)


def test_suffixes_may_be_in_capitals(tmp_path):
    for name in ("A.CSV", "B.csv.GZ", "C.DAT"):
        header = name != "C.DAT"
        frame().to_csv(tmp_path / name.lower(), index=False, header=header)
        (tmp_path / name.lower()).rename(tmp_path / name)
    for name, path in find_tables([tmp_path])[0].items():
        assert read_table(name, path).shape == (60, 2, 2)


def test_labels_are_in_the_last_column_or_in_class(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,class,b\n1,10,3\n2,9,?\n,10,<null>\n")
    table = read_table("t", path)
    assert table.frame.columns.tolist() == ["a", "b"]
    assert table.labels.tolist() == [1, 0, 1]  # numbers in their order
    assert table.frame["b"].isna().tolist() == [False, True, True]
    path.write_text("class,b,label\n1,2,x\n".replace("class", "klass"))
    assert read_table("t", path).frame.columns.tolist() == ["klass", "b"]


def test_dat_files_have_no_header_but_perhaps_declarations(tmp_path):
    path = tmp_path / "t.dat"
    path.write_text("@relation t\n@data\n1.5, red, no\n2.5, blue, yes\n")
    table = read_table("t", path)
    assert table.frame.to_numpy().tolist() == [[1.5, "red"], [2.5, "blue"]]
    assert table.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n", "single column"),
        ("a,b\n1,x\n2,\n", "1 rows have no label in .*'b'"),
        ("a,b\ninf,x\n2,y\n", r"t\.csv has infinite values"),
        ("", r"t\.csv cannot be read"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table("t", path)


def test_large_tables_are_drawn_from_and_rare_classes_left_out():
    labels = np.repeat([0, 1, 2], [50, 47, 3])
    table = Table("t", pd.DataFrame({"row": np.arange(100)}), labels)
    small = table.limited(80, min_members=4, seed=0)
    assert small.shape[1:] == (1, 2)
    assert 77 <= small.shape[0] <= 80
    np.testing.assert_array_equal(small.labels, labels[small.frame["row"]])
    again = table.limited(80, min_members=4, seed=0)
    assert small.frame.equals(again.frame)
    assert not small.frame.equals(table.limited(80, 4, seed=1).frame)
    with pytest.raises(ValueError, match="1 of 3 classes have the 48 rows"):
        table.limited(100, min_members=48, seed=0)


def test_preprocessing_learns_from_the_training_rows():
    table = pd.DataFrame(
        {"x": [1.0, 3, np.nan, 1e9], "w": ["a", "b", None, "new"], "e": [np.nan] * 4}
    )
    X, X_test = prepared(table, [0, 1, 2], [3])
    assert X.shape[1] == 2 + 3
    np.testing.assert_allclose(X.mean(axis=0)[:2], 0, atol=1e-12)
    np.testing.assert_array_equal(X_test[:, 2:], 0)  # an unknown word


# Scores


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    p, y = rng.dirichlet([1, 2, 1], 40), np.arange(40) % 3
    found = scores(p, y)
    assert found["log_loss"] == pytest.approx(log_loss(y, p))
    brier = brier_score_loss(y, p, labels=[0, 1, 2], scale_by_half=False)
    assert found["brier_score"] == pytest.approx(brier)
    assert found["accuracy"] == accuracy_score(y, p.argmax(axis=1))
    assert np.isfinite(scores(np.eye(3)[y], (y + 1) % 3)["log_loss"])


def test_the_calibration_error_is_a_mean_over_pairs_of_rows():
    rng = np.random.default_rng(0)
    confidence, correct = rng.uniform(size=9), rng.uniform(size=9) < 0.5
    order = np.argsort(confidence)
    expected = 0
    for rows in np.array_split(order, 2):
        gaps = correct[rows] - confidence[rows]
        pairs = itertools.permutations(gaps, 2)
        expected += len(rows) / 9 * np.mean([a * b for a, b in pairs])
    assert calibration_error(confidence, correct, n_bins=2) == pytest.approx(expected)


@pytest.mark.parametrize("gap", [0, 0.2])
def test_the_calibration_error_is_unbiased(gap):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        confidence = rng.uniform(0.3, 0.7, 40)
        correct = rng.uniform(size=40) < confidence - gap
        found.append(calibration_error(confidence, correct))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - gap**2) < 3 * error < 0.01


# Trials and their file


def test_a_fold_is_the_same_for_any_number_of_processes(table):
    one, two = (run_fold(table, 1, SMALL, n_jobs=n) for n in (1, 2))
    for row in one + two:
        assert row.pop("seconds") > 0
    assert one == two
    assert [row["pair"] for row in one] == [
        "softmax x cross_entropy",
        "softmax x least_squares",
    ]


class Broken(LeastSquares):
    name = "broken"

    def derivative(self, t, y):
        raise RuntimeError("out of\norder. More")


def test_a_pair_that_fails_is_recorded_and_last(table):
    rows = run_fold(table, 0, replace(SMALL, pairs=(*PAIRS, ("softmax", Broken()))))
    assert rows[-1]["trouble"] == "RuntimeError: out of order"
    found = pd.DataFrame(rows)
    assert found["log_loss"].isna().tolist() == [False, False, True]
    for score in ("log_loss", "accuracy"):
        assert mean_ranks(found, score).index[-1] == "softmax x broken"


@pytest.mark.parametrize("where", ["search", "estimate"])
def test_ctrl_c_ends_the_study(table, monkeypatch, where):
    """A fit keeps its weights at Ctrl-C; the study must not count that as a result."""
    fit = PairedMLPClassifier._fit

    def interrupted(self, *arguments, **options):
        fits = fit(self, *arguments, **options)
        self.solver_result_["reason"] = "interrupted"
        return fits

    monkeypatch.setattr(PairedMLPClassifier, "_fit", interrupted)
    work = {
        "search": lambda: run_fold(table, 0, SMALL),
        "estimate": lambda: estimated_seconds(table, SMALL),
    }
    with pytest.raises(KeyboardInterrupt):
        work[where]()


def test_warnings_are_recorded(table):
    row, *_ = run_fold(table, 0, replace(SMALL, max_iter=1))
    assert row["trouble"] == "ConvergenceWarning"
    assert np.isfinite(row["log_loss"])


def test_a_study_that_is_cut_off_anywhere_goes_on(folder, capsys):
    tables = [read_table(name, path) for name, path in find_tables([folder])[0].items()]
    path = folder.parent / "results.csv"

    def complete():
        Work(tables, Journal(path, SMALL), SMALL).run(n_jobs=1, budget=None)
        return path.read_bytes()

    text = complete()
    whole = without_seconds(path).sort_values(["table", "fold"], kind="stable")
    whole = whole.reset_index(drop=True)
    assert len(whole) == 2 * 2 * 2
    assert complete() == text
    assert "2 tables, 2 of them complete" in capsys.readouterr().out
    second_fold = text.index(b"\nfirst,60,2,2,1,") + 1
    for size in (text.index(b"\n") + 9, second_fold, second_fold + 30, len(text) - 1):
        path.write_bytes(text[:size])
        after = complete()
        assert size < second_fold or after.startswith(text[:second_fold])
        found = without_seconds(path).sort_values(["table", "fold"], kind="stable")
        assert found.reset_index(drop=True).equals(whole)


def test_what_is_read_is_what_was_written(table, tmp_path):
    path = tmp_path / "results.csv"
    settings = replace(SMALL, pairs=(*PAIRS, ("softmax", Broken())))
    rows = [row for fold in (0, 1) for row in run_fold(table, fold, settings)]
    for fold in (rows[:3], rows[3:]):
        Journal(path, settings).append(fold)
    found = read_results(path)
    assert found["trouble"].tolist() == [row["trouble"] for row in rows]
    pd.testing.assert_frame_equal(
        found, pd.DataFrame(rows), check_dtype=False, rtol=1e-4
    )
    assert summary_table(found)["failed"].tolist() == [0, 0, 2]
    warned = [row["pair"] for row in rows if row["trouble"] == "ConvergenceWarning"]
    assert summary_table(found)["warned"].sum() == len(warned)


def test_a_study_does_not_mix_settings_or_tables(folder, table, tmp_path):
    path = tmp_path / "results.csv"
    journal = Journal(path, SMALL)
    journal.append(run_fold(table, 0, SMALL))
    assert Journal(path, SMALL).done == {("first", 0): (60, 2, 2)}
    with pytest.raises(ValueError, match=r"settings: seed=0 instead of 1\. "):
        Journal(path, replace(SMALL, seed=1))
    with pytest.raises(ValueError, match=r"pairs=\[.*\] instead of \[.*\]\. Take"):
        Journal(path, replace(SMALL, pairs=PAIRS[:1]))
    for text in ("a,b\n", "# [1]\n", ""):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not the results of a study"):
            Journal(path, SMALL)


def test_two_processes_do_not_write_to_one_file(table, tmp_path):
    rows = run_fold(table, 0, SMALL)
    one, other = (Journal(tmp_path / "results.csv", SMALL) for _ in range(2))
    one.append(rows)
    one.append([row | {"fold": 1} for row in rows])
    text = one.path.read_bytes()
    with pytest.raises(ValueError, match="written by another process too"):
        other.append(rows)
    assert one.path.read_bytes() == text


def test_a_table_that_has_changed_is_refused(folder, capsys):
    table = read_table("first", folder / "first.csv")
    settings = replace(SMALL, pairs=Settings.pairs, alphas=(1.0,))
    journal = Journal(folder.parent / "results.csv", settings)
    journal.append(run_fold(table, 0, settings))
    frame(n=70).to_csv(folder / "first.csv", index=False)
    with pytest.raises(SystemExit):
        run("run", folder, *COMMAND, "--output", folder.parent)
    assert re.search(
        r"first has changed: .*\(60, 2, 2\)\s+and are \(70, 2, 2\)",
        capsys.readouterr().err,
    )


def test_the_budget_says_what_it_leaves_out(folder, capsys):
    output = folder.parent / "study"
    run("run", folder, *COMMAND, "--output", output, "--budget", 0)
    assert "left out, as the time is short: " in capsys.readouterr().out
    assert not (output / "results.csv").exists()


def test_an_estimate_writes_nothing(folder, capsys):
    output = folder.parent / "study"
    run("run", folder, *COMMAND, "--output", output, "--estimate")
    told = capsys.readouterr().out
    assert re.search("2 tables, 0 of them complete; .* about [0-9]+ seconds in", told)
    assert not output.exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.4, "about 3 seconds"), (179, "about 3 minutes"), (9000, "about 2.5 hours")],
)
def test_an_estimate_has_the_unit_that_suits_it(seconds, text):
    assert _about(seconds) == text


def test_what_is_missing_is_said_at_once(folder, capsys, monkeypatch):
    monkeypatch.setattr("skce.study.__main__.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        run("run", folder)
    assert "pandas and matplotlib must be installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "1"], "folds=1 must be at least 2"),
        (["--alphas", "1,1"], "must be a list of distinct"),
        (["--alphas", "x"], "'x' must be numbers with commas"),
        (["--scoring", "f1"], "scoring='f1' must be one of neg_log_loss"),
        (["--budget", "-1"], "'-1' must be a number of at least 0"),
        (["--n-jobs", "0"], "'0' must be an integer that is not 0"),
        (["--exclude", "third"], "no table is named third"),
    ],
)
def test_a_wrong_command_line_says_why(folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run("run", folder, *arguments)
    assert message in capsys.readouterr().err


def test_only_results_are_read(tmp_path, capsys):
    path = tmp_path / "results.csv"
    path.write_text("table,pair\n")
    with pytest.raises(SystemExit):
        run("report", path)
    assert "is not the results of a study" in capsys.readouterr().err
    for text in ("", "# [1]\n", '# {"folds": 2}\n', "# {}\ntable,fold\nt,0\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="is not the results of a study"):
            read_results(path)
    path.write_text('# {"folds": 2}\ntable,fold,pair,trouble\nt,0,a,\n')
    with pytest.raises(ValueError, match="no table with all of its folds"):
        read_results(path)


# Statistics


def test_ranks_share_ties_and_put_failures_last():
    found = results([[[1, 2, 2]], [[3, 1, np.nan]], [[1, np.nan, np.nan]]])
    assert mean_ranks(found).to_dict() == {
        "a": pytest.approx((1 + 2 + 1) / 3),
        "b": pytest.approx((2.5 + 1 + 2.5) / 3),
        "c": pytest.approx((2.5 + 3 + 2.5) / 3),
    }
    found["accuracy"] = found["log_loss"]
    assert mean_ranks(found[found["table"] == 0], "accuracy").to_dict() == {
        "b": 1.5,
        "c": 1.5,
        "a": 3,
    }
    with pytest.raises(ValueError, match="must be one of log_loss"):
        mean_ranks(found, "loss")


def test_a_failure_on_one_fold_counts_for_the_table():
    found = results([[[1, 2, 3], [np.nan, 2, 3]]])
    assert mean_ranks(found).to_dict() == {"b": 1, "c": 2, "a": 3}


# Demsar (2006), table 5 (a): the critical values of the Nemenyi test
@pytest.mark.parametrize(
    ("level", "quantiles"),
    [
        (0.05, [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]),
        (0.10, [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]),
    ],
)
def test_critical_differences_are_those_of_the_published_table(level, quantiles):
    for k, q in enumerate(quantiles, start=2):
        expected = q * np.sqrt(k * (k + 1) / (6 * 30))
        assert critical_difference(k, 30, level) == pytest.approx(expected, abs=5e-4)


def test_the_published_example_of_four_classifiers_on_14_tables():
    ranks = [3.143, 2.000, 2.893, 1.964]
    chi_square, F, p = friedman_test(ranks, 14)
    assert (round(chi_square, 2), round(F, 2)) == (9.28, 3.69)
    assert p < 0.05
    assert round(critical_difference(4, 14), 2) == 1.25
    assert round(critical_difference(4, 14, 0.1), 2) == 1.12


def test_tables_that_agree_leave_no_doubt():
    chi_square, F, p = friedman_test([1, 2, 3], 4)
    assert (chi_square, F, p) == (8, np.inf, 0)


@pytest.mark.parametrize(("score", "sign"), [("log_loss", 1), ("accuracy", -1)])
def test_less_loss_and_more_accuracy_are_better(score, sign):
    found = results([[[3, 2, 4], [3, 2, 4.01]]])
    found[score] = sign * found["log_loss"]
    compared = differences(found, score, reference="a").set_index("pair")["outcome"]
    assert compared.to_dict() == {"b": "better", "c": "worse"}
    figure = difference_figure(found, ["b", "c"], score, "a", ("g", "r", "b"))
    drawn = [
        [
            part.lines[0].get_color()
            for part in ax.containers
            if len(part.lines[0].get_xdata())
        ]
        for ax in figure.axes
    ]
    assert drawn == [["g"], ["r"]]


def test_differences_of_0_and_a_single_fold():
    same = results([[[1, 1, 1], [1, 1, 1]]])
    assert difference_figure(same, ["b"], reference="a").axes
    with pytest.raises(ValueError, match="single fold"):
        differences(results([[[1, 2, 3]]]), reference="a")
    for function in (summary_table, difference_figure):
        with pytest.raises(ValueError, match="reference='x' is not in the results"):
            function(same, reference="x")


def test_a_log_loss_of_0_does_not_decide_alone():
    found = results([[[1, 0, 1], [1, 0, 1]], [[1, 1, 1], [1, 1, 1]]])
    for name in ("brier_score", "accuracy", "calibration_error", "seconds"):
        found[name] = found["log_loss"] + 1
    found["trouble"] = ""
    table = summary_table(found, reference="a")
    assert table.loc["b", "loss_ratio"] == pytest.approx(np.sqrt(1e-3))


def test_names_of_tables_are_names(table, tmp_path):
    path = tmp_path / "results.csv"
    rows = [row for fold in (0, 1) for row in run_fold(table, fold, SMALL)]
    Journal(path, SMALL).append([row | {"table": "007"} for row in rows[:2]])
    Journal(path, SMALL).append([row | {"table": "007"} for row in rows[2:]])
    Journal(path, SMALL).append([row | {"table": "NA"} for row in rows[:2]])
    Journal(path, SMALL).append([row | {"table": "NA"} for row in rows[2:]])
    assert read_results(path)["table"].unique().tolist() == ["007", "NA"]


def test_labels_may_be_numbers_and_words(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,7\n" * 3 + "2,x\n")
    assert read_table("t", path).labels.tolist() == [0, 0, 0, 1]


def test_friedman_is_that_of_scipy():
    values = np.random.default_rng(0).normal(size=(12, 3))
    ranks = mean_ranks(results(values[:, np.newaxis]))
    expected = friedmanchisquare(*values.T).statistic
    assert friedman_test(ranks, 12)[0] == pytest.approx(expected)


def test_intervals_are_corrected_for_shared_training_rows():
    a = np.array([0.5, 0.4, 0.6, 0.5, 0.5])
    b = np.array([0.6, 0.4, 0.8, 0.6, 0.6])
    found = differences(results([np.c_[a, b]], "ab"), reference="a").iloc[0]
    # variance 0.005 of the differences, by 1/5 + 1/4; t with 4 degrees of freedom
    half = 2.776445 * np.sqrt(0.45 * 0.005)
    assert found["mean"] == pytest.approx(0.1)
    assert found["upper"] - 0.1 == pytest.approx(half, rel=1e-6)
    assert 0.1 - found["lower"] == pytest.approx(half, rel=1e-6)
    with pytest.raises(ValueError, match="reference='x' is not in the results"):
        differences(results([np.c_[a, b]], "ab"), reference="x")


def test_the_summary_counts_tables_and_folds():
    wide = [[1.0, 2.0, 0.5], [1.0, 2.0, 0.5], [1.0, 2.01, 0.52]]
    found = results([wide, [[1, np.nan, 1], [1, 1, 1.1], [1, 1, 0.9]]])
    found["trouble"] = np.where(found["log_loss"].isna(), "ValueError: no", "")
    found.loc[0, "trouble"] = "ConvergenceWarning"
    found["seconds"] = found["pair"].map({"a": 1, "b": 2, "c": 3})
    for name in ("brier_score", "accuracy", "calibration_error"):
        found[name] = found["log_loss"]
    table = summary_table(found, reference="a")
    assert table["better"].to_dict() == {"c": 1, "a": 0, "b": 0}
    assert table["worse"].to_dict() == {"c": 0, "a": 0, "b": 1}
    assert table["failed"].to_dict() == {"c": 0, "a": 0, "b": 1}
    assert table["warned"].to_dict() == {"c": 0, "a": 1, "b": 0}
    assert table["time_ratio"].to_dict() == {"c": 3, "a": 1, "b": 2}
    ratio = np.sqrt(np.mean([0.5, 0.5, 0.52]))
    assert table.loc["c", "loss_ratio"] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("ranks", "groups"),
    [
        ([1, 1.5, 2.5, 3], [(0, 1), (1, 2), (2, 3)]),
        ([1, 2, 3, 9], [(0, 1), (1, 2)]),
        ([1, 1.1, 1.9, 2], [(0, 3)]),
        ([1, 3, 5], []),
    ],
)
def test_bars_join_the_largest_groups_within_the_critical_difference(ranks, groups):
    assert _groups(np.array(ranks), 1.0) == groups


def test_figures_show_every_pair_and_table(folder):
    output = folder.parent / "study"
    run("run", folder, *COMMAND, "--output", output)
    assert {path.name for path in output.iterdir()} == {
        "results.csv",
        "pairs.csv",
        "differences.csv",
        "ranks.png",
        "differences.png",
    }
    found = read_results(output / "results.csv")
    (folder / "copy").mkdir()
    copy = folder / "copy" / "results.csv"
    copy.write_bytes((output / "results.csv").read_bytes())
    run("report", copy)  # beside it
    assert len(list(copy.parent.iterdir())) == 5
    run("report", copy, "--output", folder / "other")
    assert len(list((folder / "other").iterdir())) == 4
    (ax,) = rank_figure(found, ["brier_score"]).axes
    assert len(ax.get_yticks()) == 17
    axes = difference_figure(found, ["softmax x least_squares"]).axes
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert sorted(labels) == ["first", "second"]
