"""What servers and models may be called."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

from tfserve import defaults
from tfserve.errors import Attribute, UsageError, Wording

__all__ = ["NAME_PATTERN", "check_name", "valid_name"]

NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"


def check_name(name: str, *, kind: str, attribute: str | None = None) -> None:
    """Refuses a server's or model's name that would not survive a URL, a container name and a shell.

    Args:
        name: the name.
        kind: whether it is that of a server or a model.
        attribute: the attribute that says it, for the hint; None where the name stands alone.

    Raises:
        UsageError: `name` does not match `NAME_PATTERN`.
    """
    if re.fullmatch(NAME_PATTERN, name):
        return
    what = f"{name[:128]!r} is not a {kind} name" if name else f"A {kind} name cannot be empty"
    other = valid_name(name)
    raise UsageError(
        f"{what}: a letter or digit, then letters, digits, '_', '.' and '-', 128 at most.",
        about=("name",),
        hint=Wording(
            "Choose another one, for example {example}", example=Attribute(attribute, other) if attribute else other
        ),
    )


def valid_name(name: str) -> str:
    """Returns a name that is like `name` and that `check_name` takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name[:128]).strip("_.-") or "my_model"


_ENVIRONMENT_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_MEMORY = r"(\d+(?:\.\d+)?)([bkmgt]?)b?"
_MEMORY_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SMALLEST_MEMORY = 6 * 2**20  # what Docker Engine accepts
_MEMORY_LIMIT = 2**63
_PLATFORM = r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?"


def check_platform(platform: str | None) -> None:
    """Refuses what is not a platform such as ``linux/amd64``; None is the engine's own.

    Raises:
        UsageError: it is not one.
    """
    if platform is not None and not re.fullmatch(_PLATFORM, platform):
        raise UsageError(f"{platform!r} is not a platform.", hint="Write it as linux/amd64.", about=("platform",))


def parse_host(text: str) -> str:
    """Reads the address to publish on: an IP address, or ``localhost``.

    Raises:
        UsageError: `text` is neither.
    """
    if text == "localhost":
        return defaults.HOST
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(
            f"{text!r} is not an IP address.",
            hint="Give an address of this machine: 127.0.0.1 for this machine alone, 0.0.0.0 for every network.",
        ) from None


def parse_memory(text: str) -> int:
    """Reads an amount of memory as Docker writes it (``512m``, ``2g``) and returns bytes.

    Raises:
        UsageError: `text` is not an amount, or less than Docker accepts.
    """
    match = re.fullmatch(_MEMORY, text.strip().lower())
    if match is None:
        raise UsageError(f"{text!r} is not an amount of memory.", hint="Write it as 512m or 2g.")
    amount = float(match[1]) * _MEMORY_UNITS[match[2]]
    if amount >= _MEMORY_LIMIT:
        raise UsageError(f"{match[0][:40]!r} is more memory than there is anywhere.", hint="Write it as 512m or 2g.")
    if amount < _SMALLEST_MEMORY:
        raise UsageError(f"{text!r} is too little memory; Docker accepts 6m and more.", hint="Write it as 512m or 2g.")
    return int(amount)


def parse_environment(assignments: Iterable[str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Reads ``NAME=VALUE``, or ``NAME`` alone to pass the variable of `inherited` on, as ``docker run --env`` does.

    Raises:
        UsageError: a name is not one, is not set, or belongs to the image.
    """
    environment: dict[str, str] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not re.fullmatch(_ENVIRONMENT_NAME, name):
            raise UsageError(
                f"{name!r} is not the name of a variable.", hint="A name is letters, digits and '_', no digit first."
            )
        if "\0" in value:
            raise UsageError(f"The value of {name} holds a NUL character.", hint="No variable can hold one.")
        if name in ("MODEL_NAME", "MODEL_BASE_PATH"):
            raise UsageError(f"{name} is set by tfserve.", hint="Leave it out, and name the model itself.")
        if not separator:
            if name not in inherited:
                raise UsageError(
                    f"{name} is not set in this environment.", hint="Set it, or give it a value of its own."
                )
            value = inherited[name]
        environment[name] = value
    return environment
