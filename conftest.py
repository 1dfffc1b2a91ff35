"""For the doctests of skce, README and docs; tests/conftest.py is for the tests."""

import shutil
import sys
from pathlib import Path

import pytest

# Made by Sphinx, or run by it
collect_ignore_glob = [
    "docs/_build/*",
    "docs/_ext/*",
    "docs/conf.py",
    "docs/gallery/*",
    "docs/generated/*",
]


@pytest.fixture(autouse=True)
def figures_closed():
    """Matplotlib warns of more than 20 open figures, and warnings are errors."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def doctests_in_a_folder_of_their_own(request):
    """What an example writes stays out of the checkout; it may read study.csv."""
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
        if "study.csv" in (request.node.dtest.docstring or ""):
            shutil.copy(Path(__file__).parent / "docs" / "study.csv", folder)
