"""Exports a container plan as the ``docker run`` line that creates the same container.

If the plan has files, the line consists of ``docker create``, ``docker cp`` and ``docker start``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from tfserve.addresses import in_url
from tfserve.exporters.shell import shell_line
from tfserve.plan.launch_plan import LaunchPlan, Mount, PublishedPort
from tfserve.plan.secrets import is_secret

__all__ = ["docker_run"]


def docker_run(plan: LaunchPlan) -> str:
    """Returns one shell line that creates the container of `plan`.

    All names, paths and values are quoted, so that the shell does not interpret them. Of a secret variable, there is
    only the name: docker reads its value from the environment.
    """
    if plan.image is None:
        raise ValueError("a plan for a local process has no docker run line")
    environment = plan.environment.items()
    options = [
        f"--name={plan.container_name}",
        *(f"--publish={_published(port)}" for port in (plan.grpc, plan.rest) if port),
        *(f"--mount={_mount(mount)}" for mount in plan.mounts),
        *(f"--env={name}" if is_secret(name, value) else f"--env={name}={value}" for name, value in environment),
        *(f"--env={name}" for name in plan.secrets),
        *(["--init"] if plan.init else []),
        *(f"--cap-drop={capability}" for capability in plan.dropped_capabilities),
        *(f"--security-opt={option}" for option in plan.security_options),
    ]
    optional = {
        "--user": plan.user,
        "--platform": plan.platform,
        "--memory": plan.memory,
        "--cpus": None if plan.cpus is None else f"{plan.cpus:g}",
        "--restart": plan.restart,
        "--runtime": plan.runtime,
        "--gpus": None if plan.gpus is None else _csv([plan.gpus]),
    }
    options += [f"{option}={value}" for option, value in optional.items() if value is not None]
    options += ["--rm"] if plan.remove else []
    options += [f"--label={name}={value}" for name, value in plan.labels.items()]
    if not plan.files:
        return shell_line(["docker", "run", "--detach", *options, plan.image, *plan.command])
    created = shell_line(["docker", "create", *options, plan.image, *plan.command])
    # docker cp keeps the mode of the file, and mktemp creates files that other users cannot read.
    draft = "draft=$(mktemp)"
    copies = [
        f'{shell_line(["printf", "%s", text])} >"$draft" && chmod 644 "$draft" && docker cp "$draft" '
        + shell_line([f"{plan.container_name}:{path}"])
        for path, text in plan.files.items()
    ]
    started = shell_line(["docker", "start", plan.container_name])
    return " && ".join([created, draft, *copies, 'rm "$draft"', started])


def _published(port: PublishedPort) -> str:
    return f"{in_url(port.host)}:{port.host_port or ''}:{port.server_port}"


def _mount(mount: Mount) -> str:
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    return _csv([*fields, *(["readonly"] if mount.read_only else ())])


def _csv(fields: Sequence[str]) -> str:
    """Encodes a value that docker parses as CSV; https://docs.docker.com/engine/storage/bind-mounts/."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(fields)  # fields with these characters are quoted
    return line.getvalue().removesuffix("\r\n")
