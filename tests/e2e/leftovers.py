"""Removes what tests left behind: objects of an engine by a prefix of their names, processes by their environment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from itertools import chain
from pathlib import Path


def remove(host: str, prefix: str) -> None:
    """Removes every container, network, volume and image at `host` whose name, or the value of a label, starts so."""
    import docker

    client = docker.APIClient(base_url=host, version="auto")
    try:
        for container in client.containers(all=True):
            if _matches(prefix, [name.lstrip("/") for name in container["Names"] or ()], container["Labels"]):
                _ignore_absence(client.remove_container, container["Id"], force=True, v=True)
        for network in client.networks():
            if _matches(prefix, [network["Name"]], network["Labels"]):
                _ignore_absence(client.remove_network, network["Id"])
        for volume in client.volumes()["Volumes"] or ():
            if _matches(prefix, [volume["Name"]], volume["Labels"]):
                _ignore_absence(client.remove_volume, volume["Name"], force=True)
        for _ in range(2):  # an image can only be removed when the images that are made from it have been removed
            for image in client.images(all=True):
                tags = [tag for tag in image["RepoTags"] or () if tag != "<none>:<none>"]
                removed = [tag for tag in tags if _matches(prefix, [tag])]
                for tag in removed:
                    _ignore_absence(client.remove_image, tag, force=True)
                if removed == tags and _matches(prefix, [], image["Labels"]):
                    _ignore_absence(client.remove_image, image["Id"], force=True)
    finally:
        client.close()


def _matches(prefix: str, names: list[str], labels: dict[str, str] | None = None) -> bool:
    texts = chain(names, (labels or {}).values())
    return any(text.startswith((prefix, f"tfserve-{prefix}")) or f"/{prefix}" in text for text in texts)


def _ignore_absence(remove: Callable[..., object], *arguments: str, **options: bool) -> None:
    from docker.errors import APIError

    with contextlib.suppress(APIError):  # it has been removed meanwhile, or is still in use by another image
        remove(*arguments, **options)


def kill_processes(setting: str) -> None:
    """Kills the processes that were started with this `NAME=value` in their environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # the process has exited, or is another user's
                if setting.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    os.kill(int(entry.name), signal.SIGKILL)
