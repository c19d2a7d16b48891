"""Environment variables in text, with the syntax of Compose: ``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["InterpolationError", "interpolate", "variables_in"]

_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|(?P<brace>\{)|)")
_BRACE = re.compile(r"\$\$|\$\{|\}")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<word>.*))?", re.DOTALL)
_MAX_DEPTH = 20
_NAME = re.compile(r"(?<!\$)(?:\$\$)*\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_WRITE = "Write ${NAME}, or $$ for a dollar sign."


class InterpolationError(ValueError):
    """A variable is not set, or a dollar sign does not begin a variable."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Returns `text` with the values of its variables; ``$$`` is a dollar sign.

    ``:-``, ``:?`` and ``:+`` treat an empty value as unset; ``-``, ``?`` and ``+`` do not. The text after them may
    contain variables too: ``${A:-${B:-none}}``. It is resolved only if it is used.

    Raises:
        InterpolationError: a variable is not set, or a ``$`` does not begin a variable.
    """
    resolved = []
    position = 0
    while dollar := _DOLLAR.search(text, position):
        resolved.append(text[position : dollar.start()])
        position = dollar.end()
        if dollar["escaped"]:
            resolved.append("$")
        elif dollar["bare"]:
            resolved.append(_value(dollar["bare"], "", "", variables))
        elif dollar["brace"]:
            end = _end_of(text, position)
            inside = _VARIABLE.fullmatch(text, position, end)
            if inside is None:
                raise InterpolationError("'$' does not begin a variable", _WRITE)
            resolved.append(_value(inside["name"], inside["operator"] or "", inside["word"] or "", variables))
            position = end + 1
        else:
            raise InterpolationError("'$' does not begin a variable", _WRITE)
    return "".join((*resolved, text[position:]))


def variables_in(text: str) -> list[str]:
    """Returns the names of the variables in `text`, also in the defaults of others, each once."""
    return list(dict.fromkeys(_NAME.findall(text)))


def _end_of(text: str, start: int) -> int:
    """Returns the position of the brace that closes the one before `start`."""
    depth = 1
    for mark in _BRACE.finditer(text, start):
        depth += {"${": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.start()
        if depth > _MAX_DEPTH:
            raise InterpolationError(f"More than {_MAX_DEPTH} variables are nested", "Nest fewer variables.")
    raise InterpolationError("'${' has no '}'", _WRITE)


def _value(name: str, operator: str, word: str, variables: Mapping[str, str]) -> str:
    value = variables.get(name)
    is_set = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return interpolate(word, variables) if is_set else ""
    if is_set:
        return str(value)
    if operator.endswith("-"):
        return interpolate(word, variables)
    message = interpolate(word, variables)
    problem = f"The variable {name} is not set{f': {message}' if message else ''}"
    raise InterpolationError(problem, "Set it, or give a default: ${NAME:-default}")
