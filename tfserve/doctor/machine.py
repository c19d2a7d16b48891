"""Checks of this machine itself: its ports, and serving without a container."""

from __future__ import annotations

from tfserve.defaults import GRPC_PORT, INSTALL_LOCAL, REST_PORT
from tfserve.doctor.docker import docker_serves
from tfserve.doctor.facts import Check, Facts
from tfserve.engines.local.causes import OTHER_PROGRAM

__all__ = ["local_serves", "machine_checks", "way_to_serve"]

_SANDBOX = (
    (1, "files", "5.13"),
    (3, "the truncation of files", "6.2"),
    (4, "TCP ports and connections", "6.7"),
    (5, "devices", "6.10"),
    (6, "signals and abstract sockets", "6.12"),
)
"""What each version of Landlock's interface limits, and the kernel that has it; tfserve uses no other versions."""

_ELSEWHERE = "export XDG_STATE_HOME=DIRECTORY   (a directory of your own, with write permission)"
_LITTLE_BYTES = 100 * 2**20  # it also contains the logs


def local_serves(facts: Facts) -> bool:
    """Whether a server can be started as a process."""
    return facts.local.found is not None and facts.state.failure is None


def way_to_serve(facts: Facts) -> str:
    """What to do in order to serve without Docker, if that is not possible yet."""
    if facts.local.found is not None:
        return _ELSEWHERE
    return OTHER_PROGRAM if facts.local.broken else INSTALL_LOCAL


def machine_checks(facts: Facts) -> tuple[Check, ...]:
    """Returns all checks that do not depend on Docker."""
    return _ports(facts), _local_engine(facts), _state(facts), _sandbox(facts)


def _ports(facts: Facts) -> Check:
    if not facts.taken:
        return Check("ports", "ok", f"{GRPC_PORT} (gRPC) and {REST_PORT} (REST) are free")
    taken = " and ".join(map(str, facts.taken))
    verb = "is" if len(facts.taken) == 1 else "are"
    return Check(
        "ports",
        "warn",
        f"{taken} {verb} taken; servers will use other ports.",
        f"See which program uses it: tfserve ps, or sudo ss -ltnp 'sport = :{facts.taken[0]}'",
    )


def _local_engine(facts: Facts) -> Check:
    if facts.local.found is not None:
        return Check("local-engine", "ok", facts.local.found)
    if facts.local.broken:
        return Check("local-engine", "warn", facts.local.broken, OTHER_PROGRAM)
    return Check("local-engine", "warn", f"Not installed; missing: {facts.local.missing}.", INSTALL_LOCAL)


def _sandbox(facts: Facts) -> Check:
    """Reports what a local server can be kept from."""
    if facts.system.family == "macos":
        return Check("sandbox", "skip", "Only Linux has Landlock: a local server can use whatever you can.")
    if facts.landlock == 0:
        return Check(
            "sandbox",
            "warn",
            "The kernel has no Landlock: a local server, and its models, can use whatever you can.",
            "Linux has it since 5.13, unless lsm= in the kernel's parameters leaves it out. Or serve with Docker.",
        )
    limited = [what for abi, what, _ in _SANDBOX if abi <= facts.landlock]
    missing = [f"{what} (Linux {linux})" for abi, what, linux in _SANDBOX if abi > facts.landlock]
    detail = f"Landlock, ABI {facts.landlock}: a local server is limited in its use of {', '.join(limited)}"
    if not missing:
        return Check("sandbox", "ok", detail)
    return Check("sandbox", "warn", f"{detail}, but not of {', '.join(missing)}.", "Use a newer kernel.")


def _state(facts: Facts) -> Check:
    state = facts.state
    if state.failure is not None:
        return Check(
            "state-directory",
            "warn" if docker_serves(facts) else "fail",
            f"The directory for local servers cannot be used: {state.failure}.",
            _ELSEWHERE,
        )
    if state.free < _LITTLE_BYTES:
        return Check(
            "state-directory",
            "warn",
            f"Only {state.free / 2**20:.0f} MiB free in {state.path}",
            "Free some space there.",
        )
    return Check("state-directory", "ok", f"{state.path}, {state.free / 2**30:.1f} GiB free")
