"""Network addresses as text: in URLs, as this machine reaches them, and whether they are loopback addresses."""

from __future__ import annotations

import ipaddress

__all__ = ["in_url", "is_loopback", "is_this_machine", "reachable"]


def is_loopback(host: str) -> bool:
    """Returns whether `host`, a name or an address, can only be reached from the machine that listens on it."""
    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _parsed(host)
    return address is not None and address.is_loopback


def is_this_machine(host: str) -> bool:
    """Returns whether a connection to `host`, a name or an address, leads to this machine."""
    address = _parsed(host)
    return is_loopback(host) or (address is not None and address.is_unspecified)


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Returns the address, or None for a name; an IPv4 address inside IPv6 as what it leads to."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def in_url(host: str) -> str:
    """Returns an address as written in URLs and by Docker: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def reachable(host: str, port: int) -> str:
    """Returns the ``host:port`` at which this machine reaches a port; through loopback if `host` is all interfaces."""
    return f"{in_url({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(host, host))}:{port}"  # noqa: S104
