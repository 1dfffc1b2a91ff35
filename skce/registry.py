"""What the entries of a registry have in common: a name and a repr."""

__all__ = ["Named"]


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
