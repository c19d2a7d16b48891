"""Removes what a test run left: objects of an engine by the run's prefix, processes by the run's environment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any


def remove(host: str, prefix: str) -> None:
    """Removes every container, network, volume and image at `host` whose name, or a label's value, starts so."""
    import docker
    from docker.errors import APIError

    def ours(names: list[str], labels: dict[str, str] | None) -> bool:
        return any(text.startswith(prefix) for text in (*names, *(labels or {}).values()))

    def all_of(client: Any) -> Iterator[tuple[Any, list[str], dict[str, str] | None, dict[str, bool]]]:
        for container in client.containers.list(all=True, ignore_removed=True):
            yield container, [container.name], container.labels, {"force": True, "v": True}
        for network in client.networks.list():
            yield network, [network.name], network.attrs.get("Labels"), {}
        for volume in client.volumes.list():
            yield volume, [volume.name], volume.attrs.get("Labels"), {"force": True}
        for image in client.images.list():
            yield image, image.tags, image.labels, {"force": True}

    client = docker.DockerClient(base_url=host)
    try:
        # Twice: an image can only go when those that are made from it have gone.
        for thing, names, labels, options in chain(all_of(client), all_of(client)):
            if ours(names, labels):
                with contextlib.suppress(APIError):  # gone by itself meanwhile
                    thing.remove(**options)
    finally:
        client.close()


def end_processes(setting: str) -> None:
    """Ends the processes that were started with this `NAME=value` in their environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # ended by itself meanwhile, or another user's
                if setting.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
