"""Benchmarks against the peers that are installed; see docs/benchmarks.md.

    python tests/benchmarks/run.py [section ...] [--scale 0.1] [--cpu] [--write FILE]

prints one Markdown table per section. `--scale` is the share of the rows that are
generated (1 for the figures in docs/). `--cpu` counts seconds of CPU instead of the
wall, for a machine that others use too; not those of other processes (grid). `--write`
puts the tables between the marks of that file.
"""

import argparse
import inspect
import os
import platform
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import timing
from sections import SECTIONS

BEGIN, END = "<!-- results: begin -->\n", "<!-- results: end -->\n"


def machine():
    """One line about the machine and the versions."""
    names = ("skce", "scikit-learn", "numpy", "scipy", "torch", "jax")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"no {name}")
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}, {', '.join(versions)}."
    )


def table(section, scale):
    """Yield the lines of a section, each as soon as it is measured."""
    title, _, head = inspect.getdoc(section).partition("|")
    yield f"### {section.__name__}\n\n{title.strip()}\n\n|{head}".rstrip() + "\n"
    for row in section(scale):
        yield "| " + " | ".join(row) + " |\n"
    yield "\n"


def main():
    """Run the requested sections, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "section", nargs="*", help=f"of {', '.join(SECTIONS)}; all if none is given"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the rows, over 0, to 1"
    )
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="replace all tables of this page"
    )
    arguments = parser.parse_args()
    if arguments.cpu:
        timing.clock = time.process_time
    for name in arguments.section:
        if name not in SECTIONS:
            parser.error(f"{name!r} is none of {', '.join(SECTIONS)}")
    if not 0 < arguments.scale <= 1:
        parser.error(f"--scale {arguments.scale} is not over 0, to 1")
    # MLPClassifier warns even if max_iter is meant to stop it
    warnings.simplefilter("ignore")
    command = " ".join(["python tests/benchmarks/run.py", *sys.argv[1:]])
    lines = []

    def say(line):
        lines.append(line)
        print(line, end="", flush=True)

    say(f"`{command}`: {machine()}\n\n")
    if arguments.scale != 1:
        say(f"**With {arguments.scale:g} of the rows that the titles name.**\n\n")
    for name in arguments.section or SECTIONS:
        for line in table(SECTIONS[name], arguments.scale):
            say(line)
    if arguments.write:
        text = arguments.write.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        results = BEGIN + "\n" + "".join(lines) + END
        arguments.write.write_text(before + results + after, encoding="utf-8")


if __name__ == "__main__":
    main()
