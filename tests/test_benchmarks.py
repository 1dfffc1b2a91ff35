"""The benchmarks' command runs, and docs/benchmarks.md has all of its tables."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
RUN = ROOT / "tests" / "benchmarks" / "run.py"


def output(*arguments, script=RUN):
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_section_prints_its_table():
    printed = output("predictions", "--scale", "0.001")
    assert "### predictions" in printed
    rows = re.findall(r"^\| float(?:32|64) .*$", printed, flags=re.MULTILINE)
    assert len(rows) == 2
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
