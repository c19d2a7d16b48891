"""What the facts say of this machine itself: its ports, and serving without a container."""

from __future__ import annotations

from tfserve.defaults import GRPC_PORT, REST_PORT
from tfserve.doctor.docker import docker_serves
from tfserve.doctor.facts import Check, Facts
from tfserve.engines.diagnosis import OTHER_PROGRAM
from tfserve.engines.local.runtime import INSTALL

__all__ = ["local_serves", "machine_checks", "way_to_serve"]

_ELSEWHERE = "export XDG_STATE_HOME=DIRECTORY   (one that can be written)"
_LITTLE_BYTES = 100 * 2**20  # logs are kept there


def local_serves(facts: Facts) -> bool:
    """Whether a server can be started as a process."""
    return facts.local.found is not None and facts.state.failure is None


def way_to_serve(facts: Facts) -> str:
    """What to do to serve without Docker, where that cannot be done yet."""
    if facts.local.found is not None:
        return _ELSEWHERE
    return OTHER_PROGRAM if facts.local.broken else INSTALL


def machine_checks(facts: Facts) -> tuple[Check, ...]:
    """All checks that need no Docker."""
    return _ports(facts), _local_engine(facts), _state(facts)


def _ports(facts: Facts) -> Check:
    if not facts.taken:
        return Check("ports", "ok", f"{GRPC_PORT} (gRPC) and {REST_PORT} (REST) are free")
    taken = " and ".join(map(str, facts.taken))
    verb = "is" if len(facts.taken) == 1 else "are"
    return Check(
        "ports",
        "warn",
        f"{taken} {verb} taken; a server moves to another port.",
        f"See by whom: tfserve ps, or sudo ss -ltnp 'sport = :{facts.taken[0]}'",
    )


def _local_engine(facts: Facts) -> Check:
    if facts.local.found is not None:
        return Check("local-engine", "ok", facts.local.found)
    if facts.local.broken:
        return Check("local-engine", "warn", facts.local.broken, OTHER_PROGRAM)
    return Check("local-engine", "warn", f"It is not installed; it lacks {facts.local.lacks}.", INSTALL)


def _state(facts: Facts) -> Check:
    state = facts.state
    if state.failure is not None:
        return Check(
            "state-directory",
            "warn" if docker_serves(facts) else "fail",
            f"Local servers cannot be kept: {state.failure}.",
            _ELSEWHERE,
        )
    if state.free < _LITTLE_BYTES:
        return Check(
            "state-directory", "warn", f"{state.path}: {state.free / 2**20:.0f} MiB are free.", "Make room there."
        )
    return Check("state-directory", "ok", f"{state.path}, {state.free / 2**30:.1f} GiB free")
