"""The benchmarks' command runs, and docs/benchmarks.md has all of its tables."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
COMPARE = ROOT / "tests" / "benchmarks" / "compare.py"
RUN = ROOT / "tests" / "benchmarks" / "run.py"


def output(*arguments, script=RUN):
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_section_prints_its_table():
    printed = output("predictions", "--scale", "0.001", "--cpu")
    assert "### predictions" in printed
    rows = re.findall(r"^\| \d+ x .*$", printed, flags=re.MULTILINE)
    assert len(rows) == 4
    assert all(float(row.split("|")[4].split()[0]) > 0 for row in rows)


def test_the_page_has_a_table_of_every_section():
    found = re.search(r"section +of (.*?);", output("--help"), flags=re.DOTALL).group(1)
    names = re.findall(r"\w+", found)
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert len(names) >= 9
    for name in names:
        section = page.partition(f"### {name}\n")[2].partition("###")[0]
        # a header, a separator and at least one row
        assert section.count("\n|") >= 3, name


def test_write_replaces_the_tables_only(tmp_path):
    page = tmp_path / "page.md"
    marks = "<!-- results: begin -->\nold\n<!-- results: end -->\n"
    page.write_text(f"before\n{marks}after\n", encoding="utf-8")
    output("predictions", "--scale", "0.001", "--write", str(page))
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("<!-- results: end -->\nafter\n")
    assert "old" not in text
    assert "### predictions" in text


def test_the_parts_of_a_fit_add_up():
    printed = output("--scale", "0.02", script=RUN.with_name("breakdown.py"))
    head, _, *rows = printed.splitlines()
    parts = [cell.strip() for cell in head.split("|") if "%" in cell]
    assert len(rows) == 5
    shares = np.array([row.split("|")[4:-1] for row in rows], dtype=float)
    assert shares.shape[1] == len(parts)
    assert np.abs(shares.sum(axis=1) - 100).max() <= len(parts) / 2  # they are rounded
    # every part but that of threads, which small fits do without, is somewhere
    names = [part.partition(",")[0] for part in parts]
    assert {
        name for name, most in zip(names, shares.max(axis=0), strict=True) if most >= 1
    } >= (set(names) - {"threads"})


needs_history = pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="needs the history"
)


def compare(*arguments):
    command = [sys.executable, str(COMPARE), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def worktrees():
    command = ["git", "-C", str(ROOT), "worktree", "list"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@needs_history
def test_a_revision_is_timed_against_the_working_tree_and_removed():
    before = worktrees()
    done = compare("HEAD", "fit_iris", "--turns", "2")
    assert done.returncode == 0, done.stderr
    case, *seconds, ratio, objectives = (
        done.stdout.splitlines()[-1].strip("| ").split(" | ")
    )
    assert case == "fit_iris"
    assert all(float(s) > 0 for s in seconds)
    assert re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", ratio)
    assert 0 < float(objectives) < 1.1
    assert worktrees() == before


@needs_history
def test_what_cannot_be_compared_is_an_error():
    unknown = compare("no-such-revision", "fit_iris")
    assert unknown.returncode != 0
    assert "no-such-revision" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert "are none of" in compare("HEAD", "no_such_case").stderr
