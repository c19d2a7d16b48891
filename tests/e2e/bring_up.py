"""Finds a Docker Engine for the tests, or starts one, with a registry mirror that contains the stand-in images.

An engine that answers is used unchanged. Only if none answers, and this is root on Debian, is one started. Everything
that it stores is in one directory, so that a second run has nothing to do.
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
    """An engine that answers at `host`. `own`: whether this package started it, and may therefore change its images."""

    host: str
    own: bool
    mirror: str | None = None


def configured_host() -> str:
    """The address that the docker command would use: DOCKER_HOST, the current context, or the default socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI

    context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    return str(context.Host) if context is not None and context.Host else DEFAULT_HOST


def ensure(say: Callable[[str], None]) -> Engine:
    """Returns the engine to test with, started if necessary and possible.

    Raises:
        EngineUnavailableError: there is none; its text is one sentence that gives the reason.
    """
    host = configured_host()
    own = OWN.pid() is not None and _is_default(host)
    if not own and answers(host):
        return Engine(host, own=False)
    if not _is_default(host):
        raise EngineUnavailableError(f"no Docker Engine answers at {host}")
    if not own and _something_listens(OWN.socket):
        raise EngineUnavailableError(f"the program that listens at {host} is not a Docker Engine")
    if not debian.is_root_on_debian():
        raise EngineUnavailableError(f"no Docker Engine answers at {host}, and only root on Debian can start one")
    with _locked():
        return _bring_up(host, say)


def end(say: Callable[[str], None]) -> None:
    """Stops the engine and the registry that `ensure` started. What they stored is kept for the next run."""
    with _locked():
        throwaway.remove_abandoned(STATE, RUN)
        for name, stopped in (("dockerd", OWN.stop()), ("docker-registry", registry.stop(STATE))):
            say(f"{name}: {'stopped' if stopped else 'was not running'}")


def _bring_up(host: str, say: Callable[[str], None]) -> Engine:
    step = _Steps(say)
    if packages := debian.missing_packages():
        debian.install(packages)
        step.done(f"installed {' '.join(packages)}")
        if OWN.pid() is None and answers(host):  # installing the package has started it
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
    """Pulls the current stand-in images if the engine has older ones; usually only the top layer has changed."""
    import docker
    from docker.errors import APIError

    ours = {tag for tag, _ in image.tags()}
    client = docker.DockerClient(base_url=host)
    try:
        for old in client.images.list(image.REPOSITORY):
            if old.labels.get(image.LABEL) != image.current_digest():
                for tag in sorted(ours & {name.removeprefix(f"{image.REPOSITORY}:") for name in old.tags}):
                    client.images.pull(image.REPOSITORY, tag=tag)
                with contextlib.suppress(APIError):  # a container still uses the image
                    client.images.remove(old.id)
    finally:
        client.close()


def _is_default(host: str) -> bool:
    return host in {DEFAULT_HOST, "unix:///run/docker.sock", "unix://"}


def _something_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class _Steps:
    """Reports each step that took time, with its seconds."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._start = time.monotonic()

    def done(self, what: str) -> None:
        now = time.monotonic()
        if now - self._start > 0.1:
            self._say(f"{what} ({now - self._start:.1f} s)")
        self._start = now


@contextmanager
def _locked() -> Iterator[None]:
    """Lets one process at a time on this machine start or stop the engine."""
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="up.py", description="Start the Docker Engine of the tests.")
    parser.add_argument("--down", action="store_true", help="stop it; its images are kept")
    parser.add_argument("--delete", action="store_true", help="with --down: also delete everything it stored")
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
    say(f"ready at {engine.host}" + ("" if engine.own else ", which was already running and is used unchanged"))
    return 0
