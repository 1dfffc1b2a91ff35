"""HTML reprs: of estimators, with descriptions and a link, and of results."""

import html
import inspect
import re
from email.message import Message
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import (
    PairedMLPClassifier,
    compare_pairings,
    standard_errors,
    summary,
)
from skce._support import documentation

LINK = 'href="https://example.org/skce/generated/skce.PairedMLPClassifier.html"'
# The repr of scikit-learn 1.7 has no parameter descriptions
has_tooltips = "param-doc-link" in LogisticRegression()._repr_html_()


@pytest.fixture
def set_urls(monkeypatch):
    """Make the package's metadata list these project URLs."""

    def set_urls(*urls):
        message = Message()
        for url in urls:
            message["Project-URL"] = url
        monkeypatch.setattr(documentation, "metadata", lambda name: message)
        documentation.link_template.cache_clear()

    yield set_urls
    documentation.link_template.cache_clear()


@pytest.mark.parametrize(
    "address", ["https://example.org/skce", "https://example.org/skce/"]
)
def test_the_link_comes_from_the_project_urls(set_urls, address):
    set_urls("Source, https://example.org/source", f"Documentation, {address}")
    assert LINK in PairedMLPClassifier()._repr_html_()
    pipeline = make_pipeline(StandardScaler(), PairedMLPClassifier())
    assert LINK in pipeline._repr_html_()

    class Subclass(PairedMLPClassifier):
        pass

    assert "example.org" not in Subclass()._repr_html_()


def test_there_is_no_link_without_a_documentation_url(set_urls, monkeypatch):
    set_urls("Source, https://example.org/source")
    assert links(PairedMLPClassifier()) == []
    assert links(LogisticRegression())  # scikit-learn's own has one

    def not_installed(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(documentation, "metadata", not_installed)
    documentation.link_template.cache_clear()
    assert documentation.link_template() == ""


def links(estimator):
    return re.findall(r"<a [^>]*>", estimator._repr_html_())


@pytest.mark.skipif(not has_tooltips, reason="this scikit-learn has no descriptions")
@pytest.mark.parametrize("name", PairedMLPClassifier().get_params())
def test_each_parameter_has_its_description(name, set_urls):
    set_urls("Documentation, https://example.org/skce")
    shown = html.unescape(PairedMLPClassifier()._repr_html_())
    given = inspect.getdoc(PairedMLPClassifier)
    description = re.search(rf"^{name} : .+\n((?:    .+\n)+)", given, re.MULTILINE)[1]
    assert words(description) in words(shown.replace("<br>", " "))


def words(text):
    return " ".join(text.split())


MARKUP = "<script>&amp;"
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array([MARKUP, "b & c", "d"])[SPECIES]
FRAME = pd.DataFrame(IRIS, columns=[f"{MARKUP} {j}" for j in range(4)])


def of_summary():
    return summary(PairedMLPClassifier(random_state=0).fit(FRAME, NAMES), FRAME, NAMES)


def of_standard_errors():
    clf = PairedMLPClassifier(hidden_layer_sizes=(), solver="newton-cg", tol=1e-6)
    return standard_errors(clf.fit(FRAME, NAMES), FRAME, NAMES)


def of_comparison():
    return compare_pairings(
        PairedMLPClassifier(hidden_layer_sizes=2, random_state=0),
        FRAME,
        NAMES,
        pairings=[("softmax", "cross_entropy"), ("softmax", "least_squares")],
        scoring={MARKUP: "accuracy", "log loss": "neg_log_loss"},
        cv=2,
    )


class Page(HTMLParser):
    """The text of a page, and whether its tags are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text, self.styles = [], set(), [], set()
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.styles |= {value for name, value in attrs if name == "style"}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("result", [of_summary, of_standard_errors, of_comparison])
def test_a_result_shows_in_a_notebook_what_it_prints(result):
    result = result()
    page = Page(result._repr_html_())
    assert words(" ".join(page.text)) == words(str(result))
    assert page.tags <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("result", [of_summary, of_standard_errors, of_comparison])
def test_the_colours_of_a_result_are_those_of_the_notebook(result):
    styles = "; ".join(Page(result()._repr_html_()).styles)
    for name, value in re.findall(r"([\w-]+): ([^;]+)", styles):
        assert "background" not in name
        assert "color" not in name or value == "inherit"
