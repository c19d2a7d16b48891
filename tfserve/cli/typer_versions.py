"""Makes the command line the same, and equally fast, with every version of Typer.

From 0.29 on, Typer converts the value of every option with pydantic, even if it was not given, and importing
pydantic takes 80 ms. The types of tfserve's options are simple enough to be converted here. Everything else, such as
a value that is not valid, is left to Typer, which then reports what was expected.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

__all__ = ["choices_of", "convert_without_pydantic", "show_metavars"]

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]*)?")


def choices_of(parameter: Any) -> tuple[str, ...]:
    """The values that a parameter accepts, if it only accepts some."""
    choices = getattr(getattr(parameter, "type", None), "choices", None)
    choices = choices or getattr(getattr(parameter, "type_descriptor", None), "choices", None)
    return tuple(map(str, choices or ()))


def show_metavars(parameters: Iterable[Any]) -> None:
    """Makes the help show the metavar of each parameter unchanged, and makes one of its name or choices if it has none.

    Typer would show or add its type, each version in its own way.
    """
    for parameter in parameters:
        if parameter.metavar is None and not getattr(parameter, "is_flag", False):
            parameter.metavar = "|".join(choices_of(parameter)) or _capitals(parameter)
        if parameter.param_type_name == "argument":
            parameter.get_usage_pieces = functools.partial(_usage_pieces, parameter.metavar)
            parameter.get_help_record = functools.partial(_help_record, parameter.metavar, parameter.help)


def _capitals(parameter: Any) -> str:
    return str(max(parameter.opts, key=len)).lstrip("-").replace("-", "_").upper()


def _usage_pieces(metavar: str, ctx: Any) -> list[str]:
    return [metavar]


def _help_record(metavar: str, text: str, ctx: Any) -> tuple[str, str]:
    return metavar, text


def convert_without_pydantic(parameters: Iterable[Any]) -> None:
    """Makes Typer convert the values of these parameters with `_Conversion`. Has no effect on versions before 0.29."""
    for parameter in parameters:
        if hasattr(parameter, "get_runtime_param") and hasattr(parameter, "type_descriptor"):
            parameter.get_runtime_param = functools.partial(_Conversion, parameter.get_runtime_param)


@dataclass(frozen=True)
class _Conversion:
    """Takes the place of Typer's ``RuntimeParam``.

    Attributes:
        make_original: makes the ``RuntimeParam``.
    """

    make_original: Callable[[], Any]

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Returns the value as the type of `param`, as ``RuntimeParam.coerce`` does."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            return _converted(value, param.type_descriptor.annotation, param.type_descriptor.parameter_info)
        except _NotPlainError:
            return self.make_original().coerce(value, param=param, ctx=ctx)


class _NotPlainError(Exception):
    """The value is not valid, or its type is not converted here."""


def _converted(value: Any, annotation: Any, info: Any) -> Any:
    if info.parser is not None:
        raise _NotPlainError
    origin = get_origin(annotation)
    if origin is list and isinstance(value, list | tuple):
        return [_converted(item, get_args(annotation)[0], info) for item in value]
    if annotation in (int, float):
        return _number(value, annotation, info)
    if annotation is Path:
        return _path(value, info)
    if (annotation is str and isinstance(value, str)) or (origin is Literal and value in get_args(annotation)):
        return value
    raise _NotPlainError


def _number(value: Any, kind: type[int | float], info: Any) -> int | float:
    if isinstance(value, str) and (_INTEGER if kind is int else _NUMBER).fullmatch(value):
        value = kind(value)
    if type(value) is not kind or info.clamp:
        raise _NotPlainError
    if (info.min is not None and value < info.min) or (info.max is not None and value > info.max):
        raise _NotPlainError
    return value


def _path(value: Any, info: Any) -> Path:
    path = Path(value)
    settings = (info.exists, info.writable, info.resolve_path, info.path_type, not info.file_okay, not info.dir_okay)
    if any(settings) or (path.exists() and not os.access(path, os.R_OK)):
        raise _NotPlainError
    return path
