"""Packages that skce itself does without: imported where used."""

from importlib import import_module

__all__ = ["optional"]


def optional(module, purpose):
    """The imported `module`.

    Raises
    ------
    ImportError
        If it is not installed; the message names `purpose` and the install line.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"{purpose} needs {package}, which is not installed: "
            'python -m pip install matplotlib pandas tqdm (or "skce[paper]").'
        ) from error
