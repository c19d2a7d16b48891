"""Puts the names of variables in place of their values in text that is shown, as the file has them.

A message, or the command of a dry run, contains what a file resolves to. The value of a variable may be a secret, which
belongs in no terminal, log or report.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping

from tfserve.plan.secrets import is_secret

__all__ = ["masked"]

_MIN_SECRET, _MIN_OTHER = 4, 6  # characters; shorter values are in texts by chance
_ELLIPSIS = "…"  # where a message is cut, perhaps in the middle of a value
_LONGEST_PART = 500  # characters; messages cut names and paths to fewer


def masked(text: str, variables: Mapping[str, str], used: Collection[str], erroneous: Collection[str] = ()) -> str:
    """Returns `text` with ``${NAME}`` in place of the values of variables.

    Args:
        text: what is to be shown.
        variables: the values.
        used: the names of the variables in a file. Only values that may be secrets are replaced.
        erroneous: the names of the variables in the value that `text` is an error about. Their values are replaced,
            except for absolute paths, which are what the reader has to see.
    """
    written: dict[str, str] = {}
    patterns: dict[str, str] = {}
    for name in dict.fromkeys((*used, *erroneous)):
        value = variables.get(name, "")
        secret = is_secret(name, value)
        if len(value) < (_MIN_SECRET if secret else _MIN_OTHER):
            continue
        if not secret and (name not in erroneous or value.startswith("/")):
            continue
        for form in {value, repr(value)[1:-1], json.dumps(value)[1:-1], value.replace("'", "'\"'\"'")}:
            written[form] = f"${{{name}}}"
            patterns[form] = re.escape(form) if secret else rf"(?<!\w){re.escape(form)}(?!\w)"
            if secret and _ELLIPSIS in text:
                for length in range(_MIN_SECRET, min(len(form), _LONGEST_PART)):
                    part = f"{form[:length]}{_ELLIPSIS}"
                    written[part], patterns[part] = f"${{{name}}}", re.escape(part)
    if not written:
        return text
    longest_first = sorted(patterns, key=len, reverse=True)
    return re.sub("|".join(patterns[form] for form in longest_first), lambda found: written[found[0]], text)
