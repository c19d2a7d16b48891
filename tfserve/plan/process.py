"""Plans a local process: a spec, and the facts about its models and its program, become a launch plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfserve.errors import UsageError
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.labels import NO_FILES, server_labels
from tfserve.plan.launch_plan import Binary, HostPorts, LaunchPlan, publish, secrets_in, without_secrets
from tfserve.plan.mounts import process_view
from tfserve.spec.serve import ServeSpec, refuse_container_options

__all__ = ["process_plan"]


def process_plan(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    binary: Binary,
    root: Path,
    flag_files: Mapping[str, str] = NO_FILES,
) -> LaunchPlan:
    """Plans a local process.

    Args:
        spec: what was asked for.
        directories: the models of `spec` that are on this machine, in its order.
        ports: where it listens; each a port or None.
        binary: the program to run.
        root: the server's own directory, in which the engine links the models, as ``/models`` is in a container.
        flag_files: the digests of the text files that its server flags name.

    Raises:
        UsageError: `spec` asks for something that only a container has, or that `binary` does not do.
        GpuError: `spec` asks for a GPU.
    """
    refuse_container_options(spec)
    if not binary.official and (elsewhere := [model.path for model in spec.models if model.is_remote]):
        raise UsageError(
            f"tfserve's own model server reads models from disks alone, and {elsewhere[0]} is in a bucket.",
            hint="Serve it with --engine docker, or copy it to this machine first.",
        )
    if ports.grpc is None and binary.official:
        raise UsageError(
            "tensorflow_model_server does not start without its gRPC API.", hint="Leave --grpc-port none out."
        )
    models = tuple(model.name for model in spec.models)
    view = process_view(spec, directories, str(root))
    flags = [f"--port={ports.grpc or 0}", f"--rest_api_port={ports.rest or 0}"]
    if not binary.official:
        flags.append(f"--bind_address={spec.host}")
    host = "0.0.0.0" if binary.official else spec.host  # noqa: S104 - what the official server does, said to the user
    return LaunchPlan(
        name=spec.name,
        models=models,
        mounts=view.mounts,
        files=view.files,
        rest=publish(ports.rest or 0, host, ports.rest),
        grpc=publish(ports.grpc or 0, host, ports.grpc),
        environment=without_secrets(spec.environment),
        secrets=secrets_in(spec.environment),
        command=(*binary.argv, *flags, *view.flags),
        labels=server_labels(spec, models, directories, view, flag_files, gpu=False),
        remove=spec.remove,
    )
