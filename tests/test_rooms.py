"""The direction of the arrows: a file imports only from files above it."""

import ast
from pathlib import Path

import pytest

import skce

ORDER = [
    "intervals",
    "numerics",
    "registry",
    "hidden",
    "penalties",
    "activations",
    "pairings",
    "blocks",
    "threads",
    "network",
    "objective",
    "solvers",
    "labels",
    "validation",
    "callbacks",
    "checkpoint",
    "growth",
    "start",
    "class_weights",
    "stopping",
    "fitting",
    "curvature",
    "moderation",
    "prediction",
    "documentation",
    "classifier",
    "persistence",
    "diagnosis",
    "paths",
    "optional",
    "partitions",
    "cluster",
    "dask",
    "fitted",
    "inference",
    "summaries",
    "onnx",
    "paired_scores",
    "comparison",
    "displays",
    "simulation",
    "trials",
    "protocol_map",
    "published",
    "errata",
    "paper",
    "__init__",
]
FILES = sorted(Path(skce.__file__).parent.glob("*.py"))


def imported_rooms(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("skce"):
            yield node.module.partition(".")[2]
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("skce"):
                    yield alias.name.partition(".")[2]


def test_every_file_is_a_known_room():
    assert {file.stem for file in FILES} == set(ORDER)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports_point_upwards(file):
    above = ORDER[: ORDER.index(file.stem)]
    assert set(imported_rooms(file)) <= set(above)


def test_no_private_part_of_scikit_learn_is_imported():
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and "sklearn" in (node.module or ""):
                names = node.module.split(".") + [alias.name for alias in node.names]
                assert not any(name.startswith("_") for name in names), file.name
