"""What registries have in common: entries with a name and a repr, and the look-up."""

__all__ = ["Named", "look_up"]


class Named:
    """Base class of activations and penalties: how an instance is called.

    Parameters of a subclass are kept as attributes of the same name, so that the
    repr writes them.
    """

    @property
    def name(self):
        """The name in the registry, or that of the class in small letters."""
        return repr(self).lower().removesuffix("()")

    def __repr__(self):
        parameters = [f"{name}={value!r}" for name, value in vars(self).items()]
        return f"{type(self).__name__}({', '.join(parameters)})"


def look_up(entry, base, registry):
    """The instance of `base` itself or of that name in `registry`; None for neither."""
    if isinstance(entry, base):
        return entry
    return registry.get(entry) if isinstance(entry, str) else None
