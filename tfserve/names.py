"""What servers and models may be called."""

from __future__ import annotations

import re

from tfserve.errors import UsageError, option

__all__ = ["NAME_PATTERN", "check_name", "valid_name"]

NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"


def check_name(name: str, *, kind: str, said_by: str) -> None:
    """Refuses a server's or model's name that would not survive a URL, a container name and a shell.

    Args:
        name: the name.
        kind: whether it is that of a server or a model.
        said_by: the option that says it on the command line; empty where nothing has to.

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
        hint=f"Choose another one, for example {option(said_by, other) if said_by else other}",
    )


def valid_name(name: str) -> str:
    """Returns a name that is like `name` and that `check_name` takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name[:128]).strip("_.-") or "my_model"
