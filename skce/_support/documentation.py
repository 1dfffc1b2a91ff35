"""The address of the online documentation, from the package's metadata."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["link_template"]


@cache
def link_template() -> str:
    """Return the address of a class's page, with {estimator_name} for its name.

    It is the project URL "Documentation" of the installed package, followed by the path
    that Sphinx's autosummary gives a page, or "" where there is no such URL.
    """
    try:
        urls = metadata("skce").get_all("Project-URL") or []
    except PackageNotFoundError:  # a checkout that is not installed
        urls = []
    for url in urls:
        label, _, address = url.partition(", ")
        if label.lower() == "documentation":
            return f"{address.rstrip('/')}/generated/skce.{{estimator_name}}.html"
    return ""
