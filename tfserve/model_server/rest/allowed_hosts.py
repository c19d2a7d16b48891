"""Refuses requests whose Host is not a name of this machine, where the server listens on loopback only.

A web page can have its own host name resolve to 127.0.0.1 ("DNS rebinding"), and its scripts then count as being of the
same origin as the server. Their requests have the page's host name in Host, which no script can change.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from tfserve.model_server.rest.exchange import Scope

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)(?:%[^\]]*)?\]|([^\[\]:@/]*))(?::[0-9]{0,5})?", re.IGNORECASE)
_LOCAL = "localhost"
_KEPT = 256  # accepted values that are not checked again


class AllowedHosts:
    """The host names by which clients can address the server.

    These are always allowed: ``localhost`` and names that end in ``.localhost``, IP addresses, and a missing Host.

    Args:
        names: other names.
    """

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._names = frozenset(_normalized(name) for name in names)
        self._accepted = {b""}

    def refused(self, scope: Scope) -> bytes | None:
        """Returns a host name in a request that is not allowed, or None if all of them are."""
        authority = scope.get("authority")
        if authority is not None and not self._is_accepted(authority):
            return bytes(authority)
        for name, value in scope["headers"]:
            if name == b"host" and value not in self._accepted and not self._is_accepted(value):
                return bytes(value)
        return None

    def _is_accepted(self, value: bytes) -> bool:
        if not self._allows(value):
            return False
        if len(self._accepted) < _KEPT:
            self._accepted.add(value)
        return True

    def _allows(self, value: bytes) -> bool:
        text = value.decode("latin-1").strip()
        if _is_address(text):  # of IPv6, without brackets, in a target
            return True
        match = _HOST.fullmatch(text)
        if match is None:
            return False
        if match[1] is not None:
            return _is_address(match[1])
        name = _normalized(match[2])
        local = name == _LOCAL or name.endswith(f".{_LOCAL}")
        return not name or local or name in self._names or _is_address(name)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def allowed_hosts(flag: str, local_only: bool) -> AllowedHosts | None:
    """Returns the hosts for the value of ``--rest_api_allowed_hosts``, or None if all are allowed.

    Args:
        flag: names separated by commas, ``*`` for all, or nothing for the default.
        local_only: whether only programs on this machine can connect.
    """
    names = tuple(name.strip() for name in flag.split(",") if name.strip())
    if "*" in names or not (names or local_only):
        return None
    return AllowedHosts(names)


def _normalized(name: str) -> str:
    return name.lower().removesuffix(".")
