"""Variables of the environment in a text: ``${VAR}``, ``${VAR:-default}``, ``${VAR:?message}``, as Compose has them.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["InterpolationError", "interpolate"]

_DOLLAR = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<word>[^}]*))?\}|)"
)


class InterpolationError(ValueError):
    """A variable that is not set, or a dollar sign that begins nothing."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Returns `text` with the values of its variables; ``$$`` is a dollar sign.

    ``:-``, ``:?`` and ``:+`` take an empty value for one that is not set; ``-``, ``?`` and ``+`` do not. A default may
    hold no ``}`` and is taken as it is.

    Raises:
        InterpolationError: a variable is not set, or a ``$`` begins none of these.
    """
    return _DOLLAR.sub(lambda match: _value(match, variables), text)


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    name = match["name"] or match["bare"]
    if name is None:
        raise InterpolationError("'$' begins no variable; write ${NAME}, or $$ for a dollar sign")
    value, operator, word = variables.get(name), match["operator"] or "", match["word"] or ""
    given = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return word if given else ""
    if given:
        return str(value)
    if operator.endswith("-"):
        return word
    raise InterpolationError(f"the variable {name} is not set{f': {word}' if word else ''}")
