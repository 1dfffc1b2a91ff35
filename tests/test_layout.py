"""The layout: packages import downwards only, and what looks public is documented."""

import ast
import re
from pathlib import Path

import pytest

import skce

PACKAGE = Path(skce.__file__).parent
ROOT = PACKAGE.parent

# Each imports only from itself and the ones before it
ORDER = [
    "_support",
    "losses",
    "_network",
    "_inputs",
    "_fitting",
    "uncertainty",
    "prediction",
    "_estimator",
    "classifier",
    "inspection",
    "search",
    "persistence",
    "dask",
    "onnx",
    "paper",
    "study",
    "__init__",
]
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(file):
    """The entry of `ORDER` that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(file):
    """The name that a file is imported by."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(file):
    """Modules and names that a file imports from the package, in full."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            if (node.module or "").partition(".")[0] == "skce":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "skce":
                    yield alias.name


def test_every_package_is_in_the_order_of_imports():
    assert {layer(file) for file in FILES} == set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_imports_point_to_packages_above(file):
    allowed = set(ORDER[: ORDER.index(layer(file)) + 1])
    imported = {name.split(".")[1] for name in imports(file) if "." in name}
    assert imported <= allowed


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_modules_that_look_public_are_documented(file):
    name = dotted(file)
    if any(part.startswith("_") for part in name.split(".")):
        return
    pages = [
        ROOT / "docs" / page for page in ("api.rst", "api_paper.rst", "api_study.rst")
    ]
    api = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert re.search(rf"(?<![\w.]){re.escape(name)}(?![\w])", api)


@pytest.mark.parametrize("name", [name for name in ORDER if name != "__init__"])
def test_contributing_describes_every_package(name):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| `skce/{name}(/|\.py)` \| .", text, flags=re.MULTILINE)


def test_no_private_part_of_scikit_learn_is_imported():
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and "sklearn" in (node.module or ""):
                names = node.module.split(".") + [alias.name for alias in node.names]
                assert not any(name.startswith("_") for name in names), file
