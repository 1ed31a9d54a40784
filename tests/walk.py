"""Walks all that can be reached from an object, as a curious policy might."""

import gc
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType

import numpy as np
from msgspec import Struct

# They lead everywhere, and from everywhere: to reach them one needs no observation.
PUBLIC = (type, ModuleType, CodeType)


def walk(roots: Iterable[object], known: Iterable[object] = ()) -> Iterator[object]:
    """Yield the roots and all that they lead to, each once; but for what is `known`, and its.

    Fields, entries, closures and their variables, what methods are bound to, what generators have in
    hand. Of classes, modules and a function's globals nothing: any program reaches those.
    """
    todo, met = list(roots), {id(each) for each in known}
    kept = []  # so that no id is given to something else
    while todo:
        thing = todo.pop()
        if id(thing) in met or isinstance(thing, PUBLIC):
            continue
        met.add(id(thing))
        kept.append(thing)
        yield thing
        todo += refers_to(thing)


def refers_to(thing: object) -> list[object]:
    """Return what an object refers to."""
    if isinstance(thing, str | bytes | int | float | None):
        return []
    if isinstance(thing, MappingProxyType):  # nobody reaches the dict that is behind it
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, Struct):  # the collector does not follow it
        return [getattr(thing, name) for name in thing.__struct_fields__]
    if isinstance(thing, FunctionType):
        return [thing.__closure__, thing.__defaults__, thing.__kwdefaults__, thing.__dict__]
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, BuiltinFunctionType):
        return [thing.__self__]
    if isinstance(thing, np.ndarray):
        return thing.ravel().tolist() if thing.dtype == object else [thing.base]
    return gc.get_referents(thing)
