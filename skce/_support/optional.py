"""Import optional dependencies, with the install command in the error."""

from importlib import import_module
from types import ModuleType

__all__ = ["optional"]


def optional(module: str, purpose: str) -> ModuleType:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module : str
        Its dotted name.
    purpose : str
        What needs it, as the subject of the error message.

    Raises
    ------
    ImportError
        If its package is not installed; the message names `purpose` and the remedy.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != package:  # the package is there, one of its own imports is not
            raise
        raise ImportError(
            f"{purpose} needs {package}, which is not installed: "
            f"python -m pip install {package}."
        ) from error
