"""Runs servers as detached processes of this machine, without Docker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfserve.engines.local import state as local_state
from tfserve.engines.local.server import LocalServer, read_server, spawn

if TYPE_CHECKING:
    from tfserve.engines.local.process import Process
    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["LocalEngine"]


class LocalEngine:
    """Runs servers as processes of the invoking user."""

    name = "local"
    shares_ports = True
    reserves_ports = False
    records_secrets = False

    def __init__(self) -> None:
        self.children: dict[int, Process] = {}

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        from tfserve.engines.local.limits import refuse_container_options
        from tfserve.engines.local.runtime import find_binary
        from tfserve.host.landlock import landlock_abi
        from tfserve.plan.process import process_plan
        from tfserve.spec.server_flags import flag_digests

        refuse_container_options(spec)
        return process_plan(
            spec,
            directories,
            ports,
            binary=find_binary(),
            root=local_state.directory_of(spec.name).path,
            flag_files=flag_digests(spec.server_flags),
            has_landlock=landlock_abi() > 0,
        )

    def command_line(self, plan: LaunchPlan) -> str:
        from tfserve.exporters.process import process_line

        return process_line(plan)

    def launch(self, plan: LaunchPlan) -> LocalServer:
        directory = local_state.create(plan)
        try:
            return spawn(self, directory, plan.secrets)
        except BaseException:
            directory.remove()
            raise

    def servers(self) -> list[LocalServer]:
        found = (read_server(self, directory) for directory in local_state.directories())
        return sorted((server for server in found if server is not None), key=lambda server: server.created)

    def find(self, name: str) -> LocalServer | None:
        if not name or name.startswith(".") or "/" in name or "\0" in name:
            return None
        return read_server(self, local_state.directory_of(name))
