"""Finds the fields of a file that waive a protection of this machine, because the file may be someone else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfserve.config.read import ConfiguredServer

__all__ = ["waived_protections"]

_MEANINGS = {
    "unsandboxed": "its models can read and change everything that you can",
    "reload_over_tcp": "every user and program that reaches its gRPC port can change which models it serves",
}


def waived_protections(servers: Iterable[ConfiguredServer]) -> Iterator[str]:
    """Yields one sentence for each of `servers` that waives a protection."""
    for server in servers:
        if fields := server.spec.process_options():
            waived = "; ".join(f"{field}: true means that {_MEANINGS[field]}" for field in fields)
            yield f"{server.spec.name}: {waived}."
