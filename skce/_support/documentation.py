"""Where the documentation is, as far as the installed package knows."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

__all__ = ["link_template"]


@cache
def link_template():
    """The address of a class's page, with {estimator_name} in it; "" if not known.

    From the entry "Documentation" of the project's URLs in the package's metadata; the
    pages are named as by Sphinx's autosummary.
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
