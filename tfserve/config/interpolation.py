"""Variables of the environment in a text: ``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``, as Compose has them.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["InterpolationError", "interpolate"]

_DOLLAR = re.compile(r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)|(?P<brace>\{)|)")
_BRACE = re.compile(r"\$\$|\$\{|\}")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<word>.*))?", re.DOTALL)
_MAX_DEPTH = 20
_WRITE = "Write ${NAME}, or $$ for a dollar sign."


class InterpolationError(ValueError):
    """A variable that is not set, or a dollar sign that begins nothing; and what to do about it."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Returns `text` with the values of its variables; ``$$`` is a dollar sign.

    ``:-``, ``:?`` and ``:+`` take an empty value for one that is not set; ``-``, ``?`` and ``+`` do not. What follows
    them may hold variables again: ``${A:-${B:-none}}``. It is looked at only where it is needed.

    Raises:
        InterpolationError: a variable is not set, or a ``$`` begins none of these.
    """
    made = []
    position = 0
    while dollar := _DOLLAR.search(text, position):
        made.append(text[position : dollar.start()])
        position = dollar.end()
        if dollar["escaped"]:
            made.append("$")
        elif dollar["bare"]:
            made.append(_value(dollar["bare"], "", "", variables))
        elif dollar["brace"]:
            end = _end_of(text, position)
            inside = _VARIABLE.fullmatch(text, position, end)
            if inside is None:
                raise InterpolationError("'$' begins no variable", _WRITE)
            made.append(_value(inside["name"], inside["operator"] or "", inside["word"] or "", variables))
            position = end + 1
        else:
            raise InterpolationError("'$' begins no variable", _WRITE)
    return "".join((*made, text[position:]))


def _end_of(text: str, start: int) -> int:
    """Where the brace closes inside which `start` is."""
    depth = 1
    for mark in _BRACE.finditer(text, start):
        depth += {"${": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.start()
        if depth > _MAX_DEPTH:
            raise InterpolationError(f"there are more than {_MAX_DEPTH} variables inside each other", "Use fewer.")
    raise InterpolationError("'${' has no '}'", _WRITE)


def _value(name: str, operator: str, word: str, variables: Mapping[str, str]) -> str:
    value = variables.get(name)
    given = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return interpolate(word, variables) if given else ""
    if given:
        return str(value)
    if operator.endswith("-"):
        return interpolate(word, variables)
    why = interpolate(word, variables)
    problem = f"the variable {name} is not set{f': {why}' if why else ''}"
    raise InterpolationError(problem, "Set it, or give a default: ${NAME:-default}")
