"""Exports a process plan as the shell line that starts the same process."""

from __future__ import annotations

from tfserve.exporters.shell import shell_line
from tfserve.plan.launch_plan import LaunchPlan
from tfserve.plan.secrets import is_secret

__all__ = ["process_line"]


def process_line(plan: LaunchPlan) -> str:
    """Returns one shell line that starts the local process of `plan`, and links the model to the expected path.

    Secret variables are left out, because the process inherits them from the shell.
    The sandbox of `plan` is left out as well, because no command of the system sets it up: the process can use whatever
    its user can.
    """
    lines = []
    for mount in plan.mounts:
        parent = mount.target.rpartition("/")[0]
        lines.append(shell_line(["mkdir", "-p", parent]))
        lines.append(shell_line(["ln", "-sfn", mount.source, mount.target]))
    if plan.reload_socket:
        lines.append(shell_line(["mkdir", "-p", "-m", "700", plan.reload_socket.rpartition("/")[0]]))
    for path, text in plan.files.items():
        lines.append(f"{shell_line(['printf', '%s', text])} >{shell_line([path])}")
    variables = [f"{name}={value}" for name, value in plan.environment.items() if not is_secret(name, value)]
    lines.append(shell_line([*(("env", *variables) if variables else ()), *plan.command]))
    return " && ".join(lines)
