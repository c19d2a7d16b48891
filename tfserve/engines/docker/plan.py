"""Plans containers, with or without a connection to the Docker Engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfserve.plan.engine_facts import EngineFacts

if TYPE_CHECKING:
    from tfserve.models.saved_model import ModelDirectory
    from tfserve.plan.launch_plan import HostPorts, LaunchPlan
    from tfserve.spec.serve import ServeSpec

__all__ = ["TypicalDocker", "plan_container"]


def plan_container(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    facts: EngineFacts,
    gpu: bool,
    packaged: tuple[str, ...] = (),
) -> LaunchPlan:
    """Plans the container of `spec`, with what this machine adds to it: the user, credentials, digests of files.

    Args:
        spec: what was requested.
        directories: the models of `spec` that are on this machine, in its order.
        ports: the host ports to publish on.
        facts: what is known about the engine.
        gpu: whether to use a GPU.
        packaged: the names of the models inside the image, if `spec` has none.
    """
    from tfserve.host.system import invoking_user
    from tfserve.models.bucket_credentials import find_bucket_credentials
    from tfserve.plan.container import container_plan
    from tfserve.spec.server_flags import flag_digests

    return container_plan(
        spec,
        directories,
        ports,
        engine=facts,
        gpu=gpu,
        user=directories[0].reader if directories else invoking_user(),
        credentials=find_bucket_credentials(model.path for model in spec.models),
        packaged=packaged,
        flag_files=flag_digests(spec.server_flags),
    )


class TypicalDocker:
    """Plans containers as an ordinary Docker Engine on this machine would, where none is available."""

    shares_ports = True

    def plan(
        self, spec: ServeSpec, directories: Sequence[ModelDirectory], ports: HostPorts, *, gpu: bool
    ) -> LaunchPlan:
        return plan_container(spec, directories, ports, facts=EngineFacts(), gpu=gpu)

    def command_line(self, plan: LaunchPlan) -> str:
        from tfserve.exporters.docker_run import docker_run

        return docker_run(plan)
