"""Finds a Docker Engine to test against, or brings one up, with a registry before it and the stand-in images in that.

Order matters: an engine that answers is used as it is and nothing of it is changed; only where none does, and this is
root on Debian, is one started. Everything kept is in one directory, and a second run finds it and does nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import debian, image, registry, throwaway
from .dockerd import Dockerd, answers
from .problem import EngineUnavailableError

STATE = Path("/var/lib/tfserve-test-engine")
RUN = Path("/run/tfserve-test-engine")
DEFAULT_HOST = "unix:///var/run/docker.sock"

OWN = Dockerd(STATE, RUN, Path("/var/run/docker.sock"))


@dataclass(frozen=True)
class Engine:
    """An engine that answers at `host`. `own`: brought up by this package, which may then change what is in it."""

    host: str
    own: bool
    mirror: str | None = None


def configured_host() -> str:
    """Where a docker command typed here would look: DOCKER_HOST, the current context, the default socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI

    context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    return str(context.Host) if context is not None and context.Host else DEFAULT_HOST


def ensure(say: Callable[[str], None]) -> Engine:
    """The engine to test against, brought up where possible and needed.

    Raises EngineUnavailableError, whose text says in one sentence why there is none.
    """
    host = configured_host()
    own = OWN.pid() is not None and _is_default(host)
    if not own and answers(host):
        return Engine(host, own=False)
    if not _is_default(host):
        raise EngineUnavailableError(f"no Docker Engine answers at {host}")
    if not own and _something_listens(OWN.socket):
        raise EngineUnavailableError(f"what listens at {host} does not answer as a Docker Engine")
    if not debian.is_root_on_debian():
        raise EngineUnavailableError(f"no Docker Engine answers at {host}, and only root on Debian can bring one up")
    with _alone():
        return _bring_up(host, say)


def end(say: Callable[[str], None]) -> None:
    """Ends the engine and the registry that `ensure` started; what they stored stays for the next time."""
    with _alone():
        throwaway.remove_abandoned(STATE, RUN)
        for name, stopped in (("dockerd", OWN.stop()), ("docker-registry", registry.stop(STATE))):
            say(f"{name}: {'ended' if stopped else 'was not running'}")


def _bring_up(host: str, say: Callable[[str], None]) -> Engine:
    step = _Steps(say)
    if packages := debian.missing_packages():
        debian.install(packages)
        step.done(f"installed {' '.join(packages)}")
        if OWN.pid() is None and answers(host):  # its package started it
            return Engine(host, own=False)
    mirror = registry.serve(STATE)
    step.done(f"registry on 127.0.0.1:{mirror.port}")
    if not image.is_current(mirror):
        made = image.push(mirror, debian.architecture())
        step.done(f"{image.REPOSITORY} pushed to it, new layers: {', '.join(made) or 'none'}")
    if OWN.pid() is not None and not (OWN.uses_mirror(mirror.url) and answers(host)):
        OWN.stop()
    if OWN.pid() is None:
        OWN.start(mirror.url)
        step.done("Docker Engine started")
    _renew_outdated_images(host)
    return Engine(host, own=True, mirror=mirror.url)


def _renew_outdated_images(host: str) -> None:
    """Where the engine has a stand-in of older sources, pulls today's: of a new image only the top layer is new."""
    import docker
    from docker.errors import APIError

    ours = {tag for tag, _ in image.tags()}
    client = docker.DockerClient(base_url=host)
    try:
        for old in client.images.list(image.REPOSITORY):
            if old.labels.get(image.LABEL) != image.current_digest():
                for tag in sorted(ours & {name.removeprefix(f"{image.REPOSITORY}:") for name in old.tags}):
                    client.images.pull(image.REPOSITORY, tag=tag)
                with contextlib.suppress(APIError):  # a container still uses it
                    client.images.remove(old.id)
    finally:
        client.close()


def _is_default(host: str) -> bool:
    return host in {DEFAULT_HOST, "unix:///run/docker.sock", "unix://"}


def _something_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class _Steps:
    """Says what was done, and how long it took, of the steps that took any time."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._start = time.monotonic()

    def done(self, what: str) -> None:
        now = time.monotonic()
        if now - self._start > 0.1:
            self._say(f"{what} ({now - self._start:.1f} s)")
        self._start = now


@contextmanager
def _alone() -> Iterator[None]:
    """One bring-up at a time on this machine."""
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="up.py", description="Bring up the Docker Engine of the tests.")
    parser.add_argument("--down", action="store_true", help="end what was brought up; its images are kept")
    parser.add_argument("--delete", action="store_true", help="with --down: delete all that is kept, too")
    arguments = parser.parse_args()

    def say(text: str) -> None:
        print(f"engine: {text}", file=sys.stderr, flush=True)

    try:
        if arguments.down:
            end(say)
            if arguments.delete:
                shutil.rmtree(STATE, ignore_errors=True)
            return 0
        engine = ensure(say)
    except EngineUnavailableError as problem:
        say(str(problem))
        return 1
    say(f"ready at {engine.host}" + ("" if engine.own else ", which was there already and is used as it is"))
    return 0
