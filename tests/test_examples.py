"""Every example of the gallery runs and draws its figure."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skce import summary
from skce.losses import ACTIVATIONS, PARAMETRIC_PENALTIES, PENALTIES

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def test_pairing_grid_prints_tables_and_saves_a_figure(tmp_path, monkeypatch, capsys):
    file = str(EXAMPLES / "plot_pairing_grid.py")
    namespace = runpy.run_path(file)
    main = namespace["main"]
    # The small iris data instead of the two data sets, to save time
    monkeypatch.setitem(main.__globals__, "DATA", {"iris": load_iris})
    monkeypatch.setattr(sys, "argv", [file, "--n-jobs", "1", "--output", str(tmp_path)])
    main()
    printed = capsys.readouterr()
    assert (tmp_path / "pairing_grid.png").stat().st_size > 10_000
    assert "iris: 150 rows, 4 features" in printed.out
    for line in ("softmax x cross_entropy", "accuracy", "log loss", "Brier score"):
        assert line in printed.out
    assert "100%" in printed.err


def check_label_noise(found):
    """Check what the text of the example says of its figure."""
    cross_entropy, *bounded = found["accuracies"].values()
    best = [accuracy.max() for accuracy in found["accuracies"].values()]
    for accuracy in (cross_entropy, *bounded):
        # at no end, so that the grid holds the best alpha
        assert 0 < accuracy.argmax() < len(accuracy) - 1
    assert min(accuracy[0] for accuracy in bounded) > cross_entropy[0] + 0.1
    assert max(accuracy[-1] for accuracy in bounded) < cross_entropy[-1]
    assert 0.91 < min(best) < max(best) < min(best) + 2 * 0.012


def check_registry(found):
    """Check that no member is forgotten, and what the text says of the slopes."""
    outputs, natural, penalties = (plt.figure(n) for n in plt.get_fignums())
    assert [ax.get_title() for ax in outputs.axes] == list(ACTIVATIONS)
    kinds = [type(penalty) for penalty in PENALTIES.values()] + [*PARAMETRIC_PENALTIES]
    titles = [ax.get_title().partition(" (")[0] for ax in penalties.axes]
    assert titles == [kind.__name__ for kind in kinds]
    for ax in natural.axes:
        y = ACTIVATIONS[ax.get_title()].value(found["logits"])[0]
        slope = next(line for line in ax.lines if line.get_label() == "its slope")
        np.testing.assert_allclose(slope.get_ydata(), y - 1, atol=1e-12)


def check_calibration(found):
    """One fit is far too sure, and the other one is not."""
    overfitted, chosen = (
        summary(fit, found["X_test"], found["y_test"]).calibration
        for fit in found["fits"].values()
    )
    assert overfitted.confidence > overfitted.accuracy + 0.1
    assert abs(chosen.confidence - chosen.accuracy) < 0.05
    assert chosen.log_loss < overfitted.log_loss


def check_alpha_path(found):
    """The test loss has a minimum within, the training loss falls with alpha."""
    training, test = found["losses"].values()
    assert 0 < np.argmin(test) < len(test) - 1
    assert (np.diff(training) < 0).all()
    assert (np.diff(np.linalg.norm(found["norms"], axis=1)) > 0).all()


def check_moderated(found):
    """Far away the moderated network is unsure; the boundary is the same."""
    plain, moderated = found["fits"].values()
    far = found["ray"][-1:]
    assert plain.predict_proba(far).max() > 0.99
    assert moderated.predict_proba(far).max() < 0.65
    np.testing.assert_array_equal(plain.coefs_[0], moderated.coefs_[0])


def check_time_to_quality(found):
    """More iterations make a smaller loss; times depend on the machine."""
    losses = [loss for _, loss in found["curves"]["PairedMLPClassifier"]]
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < found["curves"]["MLPClassifier, adam"][-1][1]


CLAIMS = {
    "plot_alpha_path": check_alpha_path,
    "plot_calibration": check_calibration,
    "plot_label_noise": check_label_noise,
    "plot_moderated_probabilities": check_moderated,
    "plot_registry": check_registry,
    "plot_time_to_quality": check_time_to_quality,
}


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize(
    "example",
    sorted(set(EXAMPLES.glob("plot_*.py")) - {EXAMPLES / "plot_pairing_grid.py"}),
    ids=lambda example: example.stem,
)
def test_example_draws_a_figure(example):
    plt.close("all")
    found = runpy.run_path(str(example))
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert figures
    for figure in figures:
        for ax in figure.axes:
            if ax.get_label() == "<colorbar>":
                assert ax.get_ylabel()
                continue
            assert ax.get_title()
            assert ax.get_xlabel() or figure.get_supxlabel()
            ticks = [label.get_text() for label in ax.get_yticklabels()]
            named = any(re.search("[a-z]", text) for text in ticks)
            assert ax.get_ylabel() or figure.get_supylabel() or named
    CLAIMS.get(example.stem, lambda _: None)(found)
    plt.close("all")


def test_large_file_converts_csv_and_parquet(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    namespace = runpy.run_path(str(EXAMPLES / "large_file.py"))
    rows = pd.DataFrame(load_iris(return_X_y=True)[0], columns=list("abcd"))
    rows["kind"] = np.array(["x", "y", "z"])[load_iris().target]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    rows.to_parquet(tmp_path / "rows.parquet")
    for name in ("rows.csv", "rows.parquet"):
        X, y = namespace["to_npy"](tmp_path / name, "kind", tmp_path / "X.npy")
        assert X.dtype == np.float32
        np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(X.std(axis=0), 1, atol=1e-6)
        assert (y == rows["kind"]).all()
    namespace["main"](tmp_path / "rows.csv", "kind")
    assert "softmax x cross_entropy" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["docs/dask.md"])
def test_the_first_cluster_of_a_page_runs_as_a_script(page, tmp_path):
    pytest.importorskip("distributed")
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    script = tmp_path / "script.py"
    script.write_text(next(b for b in blocks if "LocalCluster(" in b))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0.95
