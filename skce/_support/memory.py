"""How much memory is free."""

import os
import sys
from decimal import Decimal
from pathlib import Path

__all__ = ["free_memory", "gigabytes"]

# Folder, limit and use of a container, of cgroups 2 and 1
CONTAINERS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


def free_memory():
    """Return the bytes that this process may still take, as far as it is known."""
    return min(_of_machine(), _of_container())


def gigabytes(n_bytes):
    """Return a text such as "1.23 GB", of any integer."""
    return f"{Decimal(n_bytes) / 10**9:.3g} GB"


def _of_machine():
    try:
        return 1024 * _entry(Path("/proc/meminfo"), "MemAvailable:")
    except (OSError, KeyError):  # it is Linux's
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return sys.maxsize


def _of_container():
    for folder, limit, use in CONTAINERS:
        try:
            total, used = (int((folder / name).read_text()) for name in (limit, use))
            return total - used + _entry(folder / "memory.stat", "inactive_file")
        except (OSError, KeyError, ValueError):  # none, or without a limit: "max"
            continue
    return sys.maxsize


def _entry(path, name):
    """Return the number of an entry of a file of names and numbers."""
    for line in path.read_text().splitlines():
        words = line.split()
        if words[0] == name:
            return int(words[1])
    raise KeyError(name)
