"""A container plan as the ``docker run`` line that does the same, and a process plan as its command line."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Sequence

from tfserve.plan import LaunchPlan, Mount, PublishedPort

__all__ = ["docker_run", "process", "shell_line"]


def shell_line(plan: LaunchPlan) -> str:
    """Returns the shell line that starts `plan`, whatever it is a plan of."""
    return docker_run(plan) if plan.image is not None else process(plan)


def docker_run(plan: LaunchPlan) -> str:
    """Returns one shell line that makes the container of `plan`.

    Everything is quoted for a shell, so that no name, path or value is read as anything but itself.
    """
    if plan.image is None:
        raise ValueError("the plan of a local process has no docker run line")
    options = [
        f"--name={plan.container_name}",
        *(f"--publish={_published(port)}" for port in (plan.grpc, plan.rest) if port),
        *(f"--mount={_mount(mount)}" for mount in plan.mounts),
        *(f"--env={name}={value}" for name, value in plan.environment.items()),
        "--init",
        "--cap-drop=ALL",
        *(f"--security-opt={option}" for option in plan.security_options),
    ]
    optional = {
        "--user": plan.user,
        "--platform": plan.platform,
        "--memory": plan.memory,
        "--cpus": None if plan.cpus is None else f"{plan.cpus:g}",
        "--restart": plan.restart,
        "--runtime": plan.runtime,
        "--gpus": plan.gpus,
    }
    options += [f"{option}={value}" for option, value in optional.items() if value is not None]
    options += ["--rm"] if plan.remove else []
    options += [f"--label={name}={value}" for name, value in plan.labels.items()]
    return _line(["docker", "run", "--detach", *options, plan.image, *plan.command])


def process(plan: LaunchPlan) -> str:
    """Returns one shell line that starts the local process of `plan`, with the model linked where it expects it."""
    lines = []
    for mount in plan.mounts:
        parent = mount.target.rpartition("/")[0]
        lines.append(_line(["mkdir", "-p", parent]))
        lines.append(_line(["ln", "-sfn", mount.source, mount.target]))
    variables = [f"{name}={value}" for name, value in plan.environment.items()]
    lines.append(_line([*(("env", *variables) if variables else ()), *plan.command]))
    return " && ".join(lines)


def _line(words: Sequence[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Quotes one word; what a terminal would not show is written as ``$'…'``, which bash, zsh and ksh read."""
    if all(character.isprintable() or character in "\n\t" for character in word):
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character.isprintable() and character not in "'\\":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def _published(port: PublishedPort) -> str:
    host = f"[{port.host}]" if ":" in port.host else port.host
    return f"{host}:{port.host_port or ''}:{port.server_port}"


def _mount(mount: Mount) -> str:
    # docker reads the value as one line of CSV; https://docs.docker.com/engine/storage/bind-mounts/
    line = io.StringIO()
    fields = ("type=bind", f"source={mount.source}", f"target={mount.target}", "readonly")
    csv.writer(line, lineterminator="\r\n").writerow(fields)  # what is in the terminator is quoted in a field
    return line.getvalue().removesuffix("\r\n")
