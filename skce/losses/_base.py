"""The base of activations and penalties: names, parameters, and guarded short cuts."""

import copy
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeAlias, TypeVar, cast

from numpy.typing import NDArray

__all__ = [
    "Array",
    "Named",
    "follows",
    "look_up",
    "own_name",
    "same_attributes",
    "snake_case",
    "valid_for",
]

Array: TypeAlias = NDArray[Any]

T = TypeVar("T")
N = TypeVar("N", bound="Named")


class Named:
    """Base class of activations and penalties: their names and parameters.

    The parameters are the arguments of `__init__`, each of which a subclass stores as
    an attribute of the same name. They can be read by `get_params`, changed by
    `set_params`, and searched: "penalty__q" is the parameter q of the classifier's
    penalty.

    Attributes
    ----------
    formulas : tuple of str
        The methods that define the function. A subclass that overrides one of them is
        another function than its base, and is not taken for it.
    """

    formulas: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The name in the registry, or the class name in snake case."""
        parameters = repr(self).removeprefix(type(self).__name__).removesuffix("()")
        return snake_case(type(self).__name__) + parameters

    def __repr__(self) -> str:
        parameters = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not name.startswith("_")
        ]
        return f"{type(self).__name__}({', '.join(parameters)})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of parameters, as "outer__inner".

        Returns
        -------
        params : dict of str
        """
        params: dict[str, Any] = {}
        for name in self._parameter_names():
            if not hasattr(self, name):
                continue
            value = params[name] = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                inner = value.get_params()
                params |= {f"{name}__{key}": item for key, item in inner.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, with the checks of the constructor.

        Parameters
        ----------
        **params : dict of str
            "outer__inner" sets a parameter of a parameter.

        Returns
        -------
        self : object
            Unchanged if an error is raised.

        Raises
        ------
        ValueError
            If there is no parameter of that name, or the constructor refuses a value.
        """
        if not params:
            return self
        merged = self.get_params(deep=False)
        inner: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, _, rest = key.partition("__")
            if name not in merged:
                raise ValueError(self._why_no_parameter(name))
            if rest:
                inner.setdefault(name, {})[rest] = value
            else:
                merged[name] = value
        for name, of_parameter in inner.items():
            if not hasattr(merged[name], "set_params"):
                raise ValueError(f"{name}={merged[name]!r} has no parameters to set.")
            merged[name] = copy.deepcopy(merged[name]).set_params(**of_parameter)
        vars(self).update(vars(type(self)(**merged)))
        return self

    def __sklearn_clone__(self) -> Self:
        return copy.deepcopy(self)

    @classmethod
    def _parameter_names(cls) -> list[str]:
        """Return the names of the arguments of `__init__`."""
        if cls.__init__ is object.__init__:
            return []
        arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
        variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
        return [a.name for a in arguments if a.kind not in variadic]

    def _why_no_parameter(self, name: str) -> str:
        """Return the error about a name that `set_params` cannot set."""
        if name in self._parameter_names():
            return (
                f"{type(self).__name__} does not store its argument {name!r} as an "
                f"attribute of that name, so it cannot be set: write "
                f"self.{name} = {name} in __init__."
            )
        existing = ", ".join(map(repr, self.get_params(deep=False)))
        return (
            f"{name!r} is not a parameter of {self!r}, which has "
            f"{f'the parameters {existing}' if existing else 'no parameters'}."
        )


def snake_case(name: str) -> str:
    """Return "LogCosh" as "log_cosh" and "LeakyReLU" as "leaky_relu"."""
    return re.sub(r"(?<=[^_])(?=[A-Z][a-z])", "_", name).lower()


def look_up(entry: object, base: type[N], registry: Mapping[str, N]) -> N | None:
    """Return the entry of that name, or the instance itself; None for neither."""
    if isinstance(entry, base):
        return entry
    return registry.get(entry) if isinstance(entry, str) else None


def follows(instance: Named, base: type[Named]) -> bool:
    """Return whether `instance` is a `base` with all formulas of `base` unchanged."""
    return isinstance(instance, base) and same_attributes(
        type(instance), base, base.formulas
    )


def same_attributes(cls: type, base: type, names: tuple[str, ...]) -> bool:
    """Return whether a subclass of `base` overrides none of these attributes."""
    for name in names:  # noqa: SIM110 - a generator would take longer than the loop
        if getattr(cls, name) is not getattr(base, name):
            return False
    return True


def valid_for(*formulas: str) -> Callable[[T], T]:
    """Guard a method or attribute against subclasses that override a formula.

    A short cut such as `Softmax.natural_loss` is right for one `value` only. Guarded,
    it is used where the class of the instance has every one of `formulas` from the
    class that defines the short cut; elsewhere the attribute of the bases of that class
    takes its place. An override that calls `super()` reaches the short cut itself.

    Parameters
    ----------
    *formulas : str
        Names of methods; without any, the `formulas` of the class.

    Returns
    -------
    decorator : callable

    Examples
    --------
    >>> from skce.losses.activations import valid_for
    >>> class Function:
    ...     def value(self, z):
    ...         return z
    ...     def slope(self, z):
    ...         return "by differences"
    >>> class Square(Function):
    ...     def value(self, z):
    ...         return z * z
    ...     @valid_for("value")
    ...     def slope(self, z):
    ...         return 2 * z
    >>> class Cube(Square):
    ...     def value(self, z):
    ...         return z**3
    >>> Square().slope(3), Cube().slope(3)
    (6, 'by differences')
    """

    def guard(attribute: T) -> T:
        return cast(T, _ValidFor(attribute, formulas))

    return guard


def own_name(name: str) -> str:
    """Guard a registry name: a subclass with other formulas is named by its class."""
    return cast(str, _ValidFor(name, None))


class _ValidFor:
    """The descriptor behind `valid_for`; without formulas, for those of the owner."""

    def __init__(self, attribute: Any, formulas: tuple[str, ...] | None) -> None:
        self._attribute = attribute
        self._formulas = formulas or ()
        self._bind = getattr(type(attribute), "__get__", None)
        self.__doc__ = attribute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name
        self._formulas = self._formulas or cast(type[Named], owner).formulas

    def __get__(self, instance: object, cls: type) -> Any:
        # the first test alone is enough in the kernels, where this is called per block
        if cls is self._owner or self._is_reached_by_super(cls) or self._holds(cls):
            if self._bind is None:
                return self._attribute
            return self._bind(self._attribute, instance, cls)
        return self._of_bases(instance, cls)

    def _holds(self, cls: type) -> bool:
        return same_attributes(cls, self._owner, self._formulas)

    def _is_reached_by_super(self, cls: type) -> bool:
        """Return whether a class before the owner has an attribute of this name."""
        for base in cls.__mro__:
            if base is self._owner:
                return False
            if self._name in base.__dict__:
                return True
        return True

    def _of_bases(self, instance: object, cls: type) -> Any:
        """Return the attribute as the bases before the owner have it."""
        mro = cls.__mro__
        for base in mro[mro.index(self._owner) + 1 :]:
            if self._name not in vars(base):
                continue
            attribute = vars(base)[self._name]
            if isinstance(attribute, _ValidFor):
                if not attribute._holds(cls):
                    continue
                attribute = attribute._attribute
            bind = getattr(type(attribute), "__get__", None)
            return attribute if bind is None else bind(attribute, instance, cls)
        raise AttributeError(
            f"{cls.__name__} overrides one of {', '.join(self._formulas)}, for which "
            f"the inherited {self._name!r} is not valid: define it as well."
        )
