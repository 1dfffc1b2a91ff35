"""A notebook is executed: a progress bar runs in it, and results are tables."""

import re

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")
pytest.importorskip("sklearn.callback")  # scikit-learn 1.9

SETUP = """
from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris, make_classification
from skce import PairedMLPClassifier, compare_pairings, standard_errors, summary
X, y = load_iris(return_X_y=True)
clf = PairedMLPClassifier(hidden_layer_sizes=3, random_state=0)
linear = PairedMLPClassifier(hidden_layer_sizes=(), solver="newton-cg", tol=1e-6)
"""
FITS = {
    # code: the bars that it shows
    "clf.set_callbacks(ProgressBar()).fit(X, y);": ["fit"],
    "clf.set_params(n_init=2).fit(X, y);": ["fit", "start #0", "start #1"],
    "clf.set_params(n_init=1).fit(*make_classification(20000, random_state=0));": [
        "fit",
        "stage #0",
    ],
}
RESULTS = [
    "summary(clf)",
    "standard_errors(linear.fit(X, y), X, y)",
    "compare_pairings(linear, X, y, scoring='accuracy', cv=2)",
]


@pytest.fixture(scope="module")
def notebook():
    """A notebook with a cell for the imports, and one for each fit and each result."""
    cell = nbformat.v4.new_code_cell
    cells = [cell(code) for code in (SETUP, *FITS, *RESULTS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return notebook


def outputs(notebook, code):
    return next(cell.outputs for cell in notebook.cells if cell.source == code)


@pytest.mark.filterwarnings("ignore")  # of Jupyter
@pytest.mark.parametrize("code", FITS)
def test_a_progress_bar_runs_to_its_end(notebook, code):
    shown = outputs(notebook, code)
    # no warning, no text: the bar alone, and an empty line of rich
    assert {output.output_type for output in shown} == {"display_data"}
    views = [
        output.data.get("application/vnd.jupyter.widget-view+json") for output in shown
    ]
    (view,) = filter(None, views)
    states = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    (bar,) = states["state"][view["model_id"]]["state"]["outputs"]
    lines = bar["data"]["text/plain"].rstrip().splitlines()
    for line, task in zip(lines, FITS[code], strict=False):
        line = re.sub(r"\x1b\[[\d;]*m", "", line)  # colours
        assert re.fullmatch(rf" *PairedMLPClassifier - {task} +━+ +100% \S+ *", line)
    assert len(lines) >= len(FITS[code])


@pytest.mark.filterwarnings("ignore")  # of Jupyter
@pytest.mark.parametrize("code", RESULTS)
def test_a_result_is_a_table(notebook, code):
    (shown,) = outputs(notebook, code)
    assert "</table>" in shown.data["text/html"]
    assert shown.data["text/plain"]
