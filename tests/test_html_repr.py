"""The HTML repr: a description of each parameter, and a link to the documentation."""

import html
import inspect
import re
from email.message import Message
from importlib.metadata import PackageNotFoundError

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skce import PairedMLPClassifier
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
