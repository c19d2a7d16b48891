"""Checks and parses single values of a spec: names, platforms, addresses, amounts of memory and variables."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping

from tfserve.defaults import HOST
from tfserve.errors import Attribute, UsageError, Wording

__all__ = [
    "NAME_PATTERN",
    "check_name",
    "check_platform",
    "parse_environment",
    "parse_host",
    "parse_memory",
    "valid_name",
]

NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_ENVIRONMENT_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_MEMORY = r"(\d+(?:\.\d+)?)([bkmgt]?)b?"
_MEMORY_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SMALLEST_MEMORY = 6 * 2**20  # what Docker Engine accepts
_MEMORY_LIMIT = 2**63
_PLATFORM = r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?"


def check_name(name: str, *, kind: str, attribute: str | None = None) -> None:
    """Refuses the name of a server or model that cannot be used in URLs, container names and shells.

    Args:
        name: the name.
        kind: ``server`` or ``model``.
        attribute: the attribute that sets the name, for the hint; None for a hint with the name alone.

    Raises:
        UsageError: `name` does not match `NAME_PATTERN`.
    """
    if re.fullmatch(NAME_PATTERN, name):
        return
    problem = f"{name[:128]!r} is not a {kind} name" if name else f"A {kind} name cannot be empty"
    example = valid_name(name)
    raise UsageError(
        f"{problem}; use up to 128 letters, digits, '_', '.' and '-', beginning with a letter or digit.",
        about=("name",),
        hint=Wording(
            "Choose another name, for example {example}",
            example=Attribute(attribute, example) if attribute else example,
        ),
    )


def valid_name(name: str) -> str:
    """Returns a name similar to `name` that `check_name` accepts."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name[:128]).strip("_.-") or "my_model"


def check_platform(platform: str | None) -> None:
    """Refuses text that is not a platform such as ``linux/amd64``; None is the engine's own platform.

    Raises:
        UsageError: `platform` is not a platform.
    """
    if platform is not None and not re.fullmatch(_PLATFORM, platform):
        raise UsageError(f"{platform!r} is not a platform.", hint="Write it as linux/amd64.", about=("platform",))


def parse_host(text: str) -> str:
    """Parses the address to publish on: an IP address, or ``localhost``.

    Raises:
        UsageError: `text` is neither.
    """
    if text == "localhost":
        return HOST
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(
            f"{text!r} is not an IP address.",
            hint="Use an address of this machine: 127.0.0.1 for local clients only, 0.0.0.0 for all interfaces.",
        ) from None


def parse_memory(text: str) -> int:
    """Parses an amount of memory in Docker's notation (``512m``, ``2g``), and returns bytes.

    Raises:
        UsageError: `text` is not an amount of memory, too large, or less than Docker accepts.
    """
    match = re.fullmatch(_MEMORY, text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is not an amount of memory.", hint="Write it as 512m or 2g.")
    amount = float(match[1]) * _MEMORY_UNITS[match[2]]
    if amount >= _MEMORY_LIMIT:
        raise UsageError(f"{match[0][:40]!r} is too large.", hint="Write it as 512m or 2g.")
    if amount < _SMALLEST_MEMORY:
        raise UsageError(f"{text!r} is too little memory; Docker requires at least 6m.", hint="Write it as 512m or 2g.")
    return int(amount)


def parse_environment(assignments: Iterable[str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Parses ``NAME=VALUE``, or ``NAME`` alone to pass on a variable of `inherited`, as ``docker run --env`` does.

    Raises:
        UsageError: a name is not valid, is not set in `inherited`, or is set by tfserve.
    """
    environment: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not re.fullmatch(_ENVIRONMENT_NAME, name):
            raise UsageError(
                f"{name!r} is not the name of a variable.",
                hint="Use letters, digits and '_', and do not begin with a digit.",
            )
        try:
            os.fsencode(value)
        except UnicodeEncodeError:
            raise UsageError(
                f"The value of {name} contains text that cannot be encoded.", hint="Remove the surrogate characters."
            ) from None
        if "\0" in value:
            raise UsageError(
                f"The value of {name} contains a NUL character.",
                hint="Remove it: no environment variable can have one.",
            )
        if name in ("MODEL_NAME", "MODEL_BASE_PATH"):
            raise UsageError(f"{name} is set by tfserve.", hint="Leave it out: tfserve derives it from the model.")
        if not separator:
            if name not in inherited:
                raise UsageError(f"The variable {name} is not set.", hint=f"Set it, or give its value: {name}=VALUE")
            value = inherited[name]
        environment[name] = value
    return environment
