"""Engines for one test or module, which may be killed, beside the engine that all other tests share.

Two daemons on one machine would conflict over the bridge docker0 (with `bridge: none`, a daemon even deletes it) and
over the chains of the packet filter, which each daemon recreates when it starts. A throwaway engine therefore has a
bridge of its own and does not use the packet filter. Ports published on loopback work through the userland proxy.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from . import debian
from .dockerd import Dockerd


def start(
    state: Path,
    run: Path,
    mirror: str,
    *,
    options: Mapping[str, object] | None = None,
    path: str = "",
    disk: str | None = None,
) -> Dockerd:
    """Starts a new engine with an empty store and a mirror of Docker Hub. The caller has to `remove` it.

    `options`, `path` and `disk` are those of `Dockerd`.
    """
    remove_abandoned(state, run)
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    engine = _engine(state, run, name, disk)
    engine = replace(engine, options={**engine.options, **(options or {})}, path=path)
    try:
        debian.run(["ip", "link", "add", _bridge(name), "type", "bridge"])
        debian.run(["ip", "address", "add", f"{_free_network()}.1/24", "dev", _bridge(name)])
        debian.run(["ip", "link", "set", _bridge(name), "up"])
        engine.start(mirror)
    except BaseException:
        remove(engine)
        raise
    return engine


def remove(engine: Dockerd) -> None:
    """Stops the engine and its containers, and deletes its images and its bridge."""
    engine.remove()
    subprocess.run(["ip", "link", "delete", _bridge(engine.data.name)], check=False, capture_output=True)


def remove_abandoned(state: Path, run: Path) -> None:
    """Removes the engines of test runs that were killed."""
    for directory in (state / "throwaway").glob("*-*"):
        if not Path("/proc", directory.name.partition("-")[0]).exists():
            remove(_engine(state, run, directory.name))


def _engine(state: Path, run: Path, name: str, disk: str | None = None) -> Dockerd:
    options = {"bridge": _bridge(name), "iptables": False, "ip-forward": False}
    return Dockerd(state / "throwaway" / name, run / name, run / name / "docker.sock", options, disk=disk)


def _bridge(name: str) -> str:
    return f"tfs{name.rpartition('-')[2]}"  # at most 15 characters


def _free_network() -> str:
    """The first three numbers of a /24 network that is not used on this machine."""
    routes = debian.run(["ip", "-4", "route"])
    candidates = [f"10.{second}.{third}" for second in range(213, 223) for third in range(256)]
    return secrets.choice([network for network in candidates if f"{network}." not in routes])
