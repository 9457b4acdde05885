"""What identifies a function or class in a cache key: its name, and its code or version."""

from __future__ import annotations

import inspect
import sys
import sysconfig
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["UnkeyableError", "identify"]

#: Folders of installed packages and of the standard library, whose version stands for their code.
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")})


class UnkeyableError(TypeError):
    """An object whose behavior a cache key cannot describe; the message gives the remedy."""


def identify(thing: Any, seen: frozenset = frozenset()) -> Any:
    """Name and code of a function or class; of a library's, name and version.

    The functions, classes and plain values that the code refers to, also in other modules, and
    the bases of a class, count too, if they are no library's. So a change anywhere in the user's
    own code changes the key.

    Parameters
    ----------
    thing : function or type
    seen : frozenset of int
        Objects that are being identified already, since code may refer to itself.

    Returns
    -------
    identity : tuple

    Raises
    ------
    UnkeyableError
        For a lambda, or a function that is defined inside another one.
    """
    name = f"{thing.__module__}.{thing.__qualname__}"
    if _is_library(thing):
        package = sys.modules.get(thing.__module__.partition(".")[0])
        return name, getattr(package, "__version__", None)
    if id(thing) in seen:
        return (name,)
    seen = seen | {id(thing)}
    if isinstance(thing, type):
        bases = [identify(base, seen) for base in thing.__bases__]
        members = vars(thing).items()
        own = {key: _member(value, seen) for key, value in members if key not in _UNRELATED}
        return name, bases, own
    wrapped = getattr(thing, "__wrapped__", None)  # the function under a decorator
    return name, _function(thing, seen), wrapped and identify(wrapped, seen)


#: What every class has, what Python and pickle note on one while it is used, and what says nothing
#: of its behavior.
_UNRELATED = {
    "__module__", "__qualname__", "__dict__", "__weakref__", "__doc__", "__annotations__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__slotnames__", "_abc_impl",
}  # fmt: skip


def _is_library(thing):
    try:
        file = inspect.getfile(thing)
    except (TypeError, OSError):  # built in, or typed into an interpreter
        return thing.__module__ != "__main__"
    return file.startswith(_LIBRARIES)


def _member(value, seen):
    """What an attribute of a class is: code, or a value by its text."""
    if isinstance(value, property):
        return [_member(part, seen) for part in (value.fget, value.fset, value.fdel)]
    value = getattr(value, "__func__", value)  # static and class methods
    value = getattr(value, "func", value)  # cached properties, partial methods
    value = inspect.unwrap(value) if callable(value) else value
    if isinstance(value, FunctionType):
        return _function(value, seen, method=True)
    return _value(value, seen)


def _value(value, seen):
    """Code, a plain value by its text, or another object by its type.

    The text of an object holds its address, which is another one in each process.
    """
    if isinstance(value, type):
        return identify(value, seen)
    if isinstance(value, FunctionType):
        return value.__qualname__ if _is_library(value) else _function(value, seen, method=True)
    if isinstance(value, dict):
        return [(_value(key, seen), _value(inner, seen)) for key, inner in value.items()]
    if isinstance(value, (tuple, list)):
        return type(value).__qualname__, [_value(inner, seen) for inner in value]
    if isinstance(value, (set, frozenset)):  # in an order that does not depend on the process
        return sorted(repr(_value(inner, seen)) for inner in value)
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__


#: Values that cannot change, and those that stand for themselves as attributes of a class.
_CONSTANT = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))
_PLAIN = (*_CONSTANT, list, dict)


def _function(function, seen, method=False):
    if not method and (function.__name__ == "<lambda>" or "<locals>" in function.__qualname__):
        raise UnkeyableError(
            f"{function.__qualname__!r} is a lambda or is defined inside a function, which the"
            " cache cannot tell from others of that kind. Define it with `def` or `class` at the"
            " top of a module, or set memory=None."
        )
    defaults = _value((function.__defaults__, function.__kwdefaults__), seen)
    names, referred = _names(function.__code__), {}
    for name, value in _own(function.__globals__, names):
        if not isinstance(value, ModuleType):
            referred[name] = _reference(value, seen)
            continue
        for inner, used in _own(vars(value), names):
            referred[f"{name}.{inner}"] = _reference(used, seen)
    for name, value in _enclosed(function):
        referred[f"<locals>.{name}"] = _reference(value, seen)
    return _code(function.__code__), defaults, referred


def _reference(value, seen):
    return identify(value, seen) if isinstance(value, FunctionType) else _value(value, seen)


def _enclosed(function):
    """Names and values of the variables that a function takes from the one around it."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        value = cell.cell_contents
        if name == "__class__":
            continue
        if isinstance(value, BuiltinFunctionType):  # as in the methods of a NamedTuple
            yield name, value.__qualname__
            continue
        if not isinstance(value, (*_PLAIN, FunctionType, type)):
            raise UnkeyableError(
                f"{function.__qualname__!r} uses {name!r} of the function around it, which the"
                " cache cannot describe. Define it at the top of a module, or set memory=None."
            )
        yield name, value


def _own(namespace, names):
    """Those of `names` in a namespace that are the user's code, modules or plain values."""
    for name in names:
        value = namespace.get(name)
        if isinstance(value, (FunctionType, type)):
            own = not _is_library(value)
        elif isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            own = file is not None and not file.startswith(_LIBRARIES)
        else:
            own = name in namespace and isinstance(value, _CONSTANT)
        if own:
            yield name, value


def _code(code):
    """Instructions and constants of a code object and of those inside it."""
    constants = [_constant(value) for value in code.co_consts]
    return code.co_code, constants, code.co_names, code.co_varnames


def _constant(value):
    if isinstance(value, CodeType):
        return _code(value)
    # The order of a set depends on the process.
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def _names(code):
    """Global names that a code object, and those inside it, may refer to."""
    inner = [_names(c) for c in code.co_consts if isinstance(c, CodeType)]
    return sorted({*code.co_names, *(name for names in inner for name in names)})
