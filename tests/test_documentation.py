"""Every public name has a page and an example; every link has a target."""

import ast
import doctest
import importlib
import inspect
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from problems import BUILT_IN, BUILT_IN_ACTIVATIONS, BUILT_IN_PENALTIES

import skce
from skce import pairing_status
from skce.losses import penalties

ROOT = Path(__file__).parents[1]
API = "".join(
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("api.rst", "api_paper.rst", "api_study.rst")
)
PAGES = [
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
    if path.name != "CHANGELOG.md"
]


def test_the_citation_file_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {skce.__version__}\n" in citation


def listed_names():
    """Full names of the entries on the API page."""
    module = None
    for line in API.splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            yield f"{module}.{line.strip()}"


NAMES = list(listed_names())
MODULES = sorted({name.rpartition(".")[0] for name in NAMES})


def found(name):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("module", MODULES)
def test_the_api_page_lists_every_public_class_and_function(module):
    listed = {id(found(name)) for name in NAMES}
    public = importlib.import_module(module)
    for name in public.__all__:
        entry = getattr(public, name)
        if inspect.isclass(entry) or inspect.isfunction(entry):
            assert id(entry) in listed, f"{module}.{name}"


def test_the_api_page_lists_each_name_once():
    assert len(NAMES) == len(set(NAMES)) > 70


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example(name):
    text = inspect.getdoc(found(name))
    assert ">>> " in text.partition("Examples\n--------\n")[2]


@pytest.mark.parametrize("name", [n for n in NAMES if n.count(".") == 1])
def test_every_parameter_is_documented(name):
    entry = found(name)
    if inspect.isclass(entry) and issubclass(entry, Exception):
        return
    text = inspect.getdoc(entry)
    for parameter in inspect.signature(entry).parameters:
        described = rf"^\**(\w+, )*\**{parameter}(, \w+)*( :.*)?$"
        assert re.search(described, text, flags=re.MULTILINE), parameter


def public_docstrings():
    for name in NAMES:
        entry = found(name)
        members = vars(entry).values() if inspect.isclass(entry) else ()
        for documented in (entry, *members):
            text = getattr(documented, "__doc__", None)
            if isinstance(text, str):
                yield " ".join(text.split())


def test_every_typeset_formula_is_in_a_docstring(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    formulas = importlib.import_module("formulas")
    texts = "\n".join(public_docstrings())
    for formula in (*formulas.BLOCKS, *formulas.LINES):
        assert formula in texts


def test_long_names_in_tables_may_be_broken_between_words(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    line_breaks = importlib.import_module("line_breaks")
    cells = "<td>{}</td><td>{}</td><td>SciPy: NaN, 0.57 (1.2) &ApplyFunction;</td>"
    outside = '<p id="binary_cross_entropy">PairedMLPClassifier</p>'
    body = f"{outside}<table>{cells}</table>"
    names = body.format("PairedMLPClassifierCV", "binary_cross_entropy")
    broken = "Paired<wbr>MLP<wbr>Classifier<wbr>CV", "binary_<wbr>cross_<wbr>entropy"
    assert line_breaks.with_breaks(names) == body.format(*broken)


CHARTS = re.findall(r"^```{chart} (\w+)$", "\n".join(map(Path.read_text, PAGES)), re.M)


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_finds_its_results(name, monkeypatch):
    pytest.importorskip("docutils")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    results = importlib.import_module("results")
    figure = results.CHARTS[name](results.THEMES["light"][1])
    assert any(ax.has_data() for ax in figure.axes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_results_are_shown_whole(page):
    text = page.read_text(encoding="utf-8")
    for example in doctest.DocTestParser().get_examples(text):
        assert "..." not in example.want, example.source


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_begins_with_a_percent_sign(page):
    """The site would take it for a comment, and leave it out."""
    assert not re.search(r"^\s*%", page.read_text(encoding="utf-8"), re.MULTILINE)


NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"


SUMMARIES = {
    "page": (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8"),
    "docstring": inspect.getdoc(skce.summary),
}


@pytest.mark.parametrize("text", SUMMARIES.values(), ids=SUMMARIES)
def test_summaries_that_doctest_skips_are_up_to_date(text, tmp_path, monkeypatch):
    """Iterations and seconds depend on the machine; words and quality do not."""
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in doctest.DocTestParser().get_examples(text):
        with redirect_stdout(StringIO()) as printed:
            exec(compile(example.source, "<example>", "single"), names)
        if doctest.SKIP in example.options:
            break
    shown, now = example.want.splitlines(), printed.getvalue().splitlines()
    assert shown[0].startswith("pair ")
    for old, new in zip(shown, now, strict=True):
        assert re.split(NUMBER, old) == re.split(NUMBER, new)
        if not old.startswith(("stopped by", "work")):
            numbers = [[float(x) for x in re.findall(NUMBER, y)] for y in (old, new)]
            assert numbers[1] == pytest.approx(numbers[0], rel=0.02, abs=0.01)


def slug(heading):
    """The anchor of a heading, on GitHub and on the site."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def without_code(page):
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", without_code(page), flags=re.MULTILINE)
    return {slug(heading) for heading in headings}


def links(page):
    return re.findall(r"\]\(([^)\s]+)\)", without_code(page))


def is_made_by_the_build(target):
    return target.parts[-2:-1] == ("gallery",) or target.name == "api"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_project_have_a_target(page):
    for link in links(page):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if is_made_by_the_build(target):
            name = target.name
            examples = (ROOT / "examples").glob("*.py")
            assert name in {"index", "api", *(e.stem for e in examples)}, link
            continue
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_in_a_table_of_contents():
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    tables = re.findall(
        r"^```\{toctree\}\n(.*?)^```",
        "".join(
            (ROOT / "docs" / f"{name}.md").read_text() for name in ("index", "guide")
        ),
        flags=re.MULTILINE | re.DOTALL,
    )
    named = set(re.findall(r"^(?:.*<)?(\w+)>?$", "".join(tables), flags=re.MULTILINE))
    assert pages <= named


def texts_of_the_source():
    """The strings of the package, each in one piece; fields of f-strings are gaps."""
    for path in (ROOT / "skce").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", None) for part in node.values)
                yield "".join(part if isinstance(part, str) else "\n" for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_on_the_troubleshooting_page_are_those_of_the_source():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| (`.*?`) \| ", page, flags=re.MULTILINE)
    messages = [text for cell in quoted for text in re.findall("`(.*?)`", cell)]
    texts = "\n".join(texts_of_the_source())
    elsewhere = {"Input X contains NaN", "BrokenFitError"}  # scikit-learn's, a class
    assert len(messages) > 20
    for message in messages:
        for part in message.split(" ... "):
            assert part in texts or part in elsewhere, part


def rows_below(page, heading):
    """The cells of the table that begins with this heading, without markup."""
    text = (ROOT / page).read_text(encoding="utf-8")
    table = text[text.index(f"| {heading} |") :].partition("\n\n")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines()]
    return [
        [cell.strip(" `*") for cell in line] for line in lines if "---" not in line[0]
    ]


@pytest.mark.parametrize("page", ["README.md", "docs/choosing.md"])
def test_the_table_of_pairs_has_every_pair_and_its_status(page):
    (_, *names, _), *rows = rows_below(page, "activation \\ penalty")
    assert sorted(names) == sorted(BUILT_IN_PENALTIES)
    assert sorted(row[0] for row in rows) == sorted(BUILT_IN_ACTIVATIONS)
    for activation, *statuses, _ in rows:
        expected = [pairing_status(activation, name) for name in names]
        assert statuses == expected, activation


def test_the_page_says_what_each_pair_estimates():
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    rows = re.search(r"```{pairing-properties}\n(.*?)```", page, re.DOTALL)[1].split(
        "\n"
    )
    assert {" x ".join(names) for names in BUILT_IN} <= {*rows}
    last = {row.partition(" x ")[2].partition("(")[0] for row in rows}
    assert {kind.__name__ for kind in penalties.PARAMETRIC_PENALTIES} <= last


def test_every_penalty_is_in_a_registry():
    registered = {*map(type, penalties.PENALTIES.values())}
    registered |= penalties.PARAMETRIC_PENALTIES.keys()
    bases = {penalties.Penalty, penalties.LogPenalty, penalties.LogOddsPenalty}
    public = [getattr(penalties, name) for name in penalties.__all__]
    assert registered | bases == {kind for kind in public if inspect.isclass(kind)}
