"""Packages that skce itself does without: imported where used."""

from importlib import import_module

__all__ = ["optional"]


def optional(module, purpose):
    """The imported `module`.

    Raises
    ------
    ImportError
        If its package is not installed; the message names `purpose` and the remedy.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:  # something that the package itself lacks
            raise
        raise ImportError(
            f"{purpose} needs {package}, which is not installed: "
            f"python -m pip install {package}."
        ) from error
