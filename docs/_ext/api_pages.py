"""What the pages of autosummary leave out: members that skce does not define."""


def _skip_foreign(app, what, name, obj, skip, options):
    target = obj.fget if isinstance(obj, property) else obj
    module = getattr(target, "__module__", None)
    if callable(target) and not str(module).startswith("skce"):
        return True
    return None  # as autodoc would have it


def setup(app):
    """Ask to be asked of every member."""
    app.connect("autodoc-skip-member", _skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
