"""Options of the command line for the fields of a server, built from the table in `tfserve.spec.fields`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_type_hints

import typer

from tfserve.cli.completion import complete_tag
from tfserve.errors import Attribute, UsageError, Wording
from tfserve.spec.field import Field
from tfserve.spec.fields import FIELDS, GROUPS

__all__ = ["given_fields", "with_fields"]

_COMPLETERS = {"tag": complete_tag}


def with_fields(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option for each field; their values arrive in its ``**fields``."""
    signature = inspect.signature(command)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    hints = get_type_hints(command, include_extras=True)
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [parameter for field in FIELDS if field.option != "--" for parameter in _parameters(field)]
    parameters.sort(key=_position)
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # Typer reads it
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def given_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields for which an option was typed, by attribute."""
    given = {}
    for field in FIELDS:
        value = fields.get(field.attribute)
        if fields.get(_off_name(field)):
            if value is not None:
                on, off = Attribute(field.attribute), Attribute(field.attribute, False)
                raise UsageError(
                    Wording("{on} cannot be combined with {off}.", on=on, off=off), hint="Leave one of them out."
                )
            value = False
        if value not in (None, []) and not (field.argument == "flag" and value is False):
            given[field.attribute] = value
    return given


def _parameters(field: Field) -> Iterator[inspect.Parameter]:
    default: Any = None
    kind: Any = str
    names = [field.option_name, field.short]
    if field.argument == "values":
        kind = list[str]
    elif field.argument == "flag":
        kind, default = bool, False
    elif field.argument == "switch":
        kind, names = bool, [f"{field.option_name}/{field.off_option}"]
    elif field.type.choices:
        kind = Literal[field.type.choices]
    option = typer.Option(
        *filter(None, names),
        metavar=field.metavar or None,
        help=_help(field),
        rich_help_panel=field.group,
        autocompletion=_COMPLETERS.get(field.attribute),
    )
    yield _parameter(field.attribute, kind, option, default)
    if field.argument == "value or off":
        off = typer.Option(field.off_option, help=field.off_help, rich_help_panel=field.group)
        yield _parameter(_off_name(field), bool, off, False)


def _help(field: Field) -> str:
    text = f"{field.help.removesuffix('.')}; repeatable." if field.argument == "values" else field.help
    return f"{text}  [default: {field.default}]" if field.default else text


def _parameter(name: str, kind: Any, option: Any, default: Any) -> inspect.Parameter:
    optional = kind if default is not None else kind | None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[optional, option]
    )


def _position(parameter: inspect.Parameter) -> int:
    """The position of an option's group; arguments come before all groups, and options without a group behind them."""
    (info,) = parameter.annotation.__metadata__
    if parameter.kind is not parameter.KEYWORD_ONLY:
        return -1
    return GROUPS.index(info.rich_help_panel) if info.rich_help_panel else len(GROUPS)


def _off_name(field: Field) -> str:
    return f"no_{field.attribute}"
