"""Makes the launch plan of a local process from a spec and the facts about its models and its program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfserve.errors import Attribute, UsageError, Wording
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.launch_plan import Binary, HostPorts, LaunchPlan, publish, secrets_in, without_secrets
from tfserve.plan.mounts import process_view
from tfserve.plan.spec_label import NO_FILES, server_labels
from tfserve.spec.serve import ServeSpec

__all__ = ["process_plan"]

_REACHABLE = "tensorflow_model_server listens on every interface: other machines can reach this server."


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
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
        ports: the ports to listen on; a number or None each.
        binary: the program to run.
        root: the server's own directory, in which the engine links the models.
        flag_files: the digests of the text files that the server flags name.

    Raises:
        UsageError: `spec` requests something that `binary` does not support.
    """
    if not binary.official and (remote := [model.path for model in spec.models if model.is_remote]):
        raise UsageError(
            f"tfserve's own model server only reads local models, but {remote[0]} is in a bucket.",
            hint=Wording("Serve it in a container with another {engine}, or copy it to this machine first."),
        )
    if ports.grpc is None and binary.official:
        raise UsageError(
            "tensorflow_model_server does not start without its gRPC API.",
            hint=Wording("Leave {none} out.", none=Attribute("grpc_port", "none")),
        )
    models = tuple(model.name for model in spec.models)
    view = process_view(spec, directories, str(root))
    flags = [f"--port={ports.grpc or 0}", f"--rest_api_port={ports.rest or 0}"]
    if not binary.official:
        flags.append(f"--bind_address={spec.host}")
    host = "0.0.0.0" if binary.official else spec.host  # noqa: S104 - the official server has no flag for an address
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
        notices=() if host == spec.host else (_REACHABLE,),
    )
