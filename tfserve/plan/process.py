"""Makes the launch plan of a local process from a spec and the facts about its models and its program."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfserve.errors import UsageError, Wording
from tfserve.host.unix_sockets import MAX_PATH_BYTES
from tfserve.models.saved_model import ModelDirectory
from tfserve.plan.launch_plan import Binary, HostPorts, LaunchPlan, Sandbox, publish, secrets_in, without_secrets
from tfserve.plan.mounts import process_view
from tfserve.plan.spec_label import NO_FILES, server_labels
from tfserve.spec.serve import ServeSpec
from tfserve.spec.server_flags import check_official, flag_value
from tfserve.spec.server_flags import flag_files as named_files

__all__ = ["FILES_WITHOUT_EFFECT", "process_plan"]

_REACHABLE = "tensorflow_model_server listens on every interface: other machines can reach this server."
_RELOADS = (
    "tensorflow_model_server takes configuration reloads on its gRPC port: everyone who can reach it, and every user "
    "of this machine, can make it load other models, which are programs."
)
_NO_SANDBOX = (
    "The kernel of this machine has no Landlock, so the server runs without a sandbox: its models are programs, and "
    "can use whatever you can."
)
_SOCKETS = "run"  # the directory of its sockets, in that of the server
_GRPC_SOCKET = "grpc_socket_path"
FILES_WITHOUT_EFFECT = ("platform_config_file", "thread_pool_factory_config_file")
"""The flags that name files which tfserve's own server does not read."""


def process_plan(
    spec: ServeSpec,
    directories: Sequence[ModelDirectory],
    ports: HostPorts,
    *,
    binary: Binary,
    root: Path,
    flag_files: Mapping[str, str] = NO_FILES,
    has_landlock: bool = True,
) -> LaunchPlan:
    """Plans a local process.

    Args:
        spec: the server.
        directories: the models of `spec` that are on this machine, in its order.
        ports: the ports to listen on; a number or None each.
        binary: the program to run.
        root: the server's own directory, in which the engine links the models.
        flag_files: the digests of the text files that the server flags name.
        has_landlock: whether the kernel can limit what the process can use.

    Raises:
        UsageError: `spec` requests something that `binary` does not support.
    """
    if not binary.official and (remote := [model.path for model in spec.models if model.is_remote]):
        raise UsageError(
            f"tfserve's own model server only reads local models, but {remote[0]} is in a bucket.",
            hint=Wording("Serve it in a container with another {engine}, or copy it to this machine first."),
        )
    if binary.official:
        check_official(spec.server_flags, instead="take tensorflow_model_server off PATH: tfserve help local-server")
    models = tuple(model.name for model in spec.models)
    view = process_view(spec, directories, str(root))
    flags = [f"--port={ports.grpc or 0}", f"--rest_api_port={ports.rest or 0}"]
    if not binary.official:
        flags.append(f"--bind_address={spec.host}")
    reload_socket, socket_flags = _reload_socket(spec, ports, root, official=binary.official)
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
        command=(*binary.argv, *flags, *socket_flags, *view.flags),
        labels=server_labels(spec, models, directories, view, flag_files, gpu=False),
        remove=spec.remove,
        sandbox=None if spec.unsandboxed else _sandbox(spec, root, official=binary.official),
        reload_socket=reload_socket,
        notices=(
            *(() if host == spec.host else (_REACHABLE,)),
            *((_RELOADS,) if binary.official and ports.grpc is not None else ()),
            *(() if has_landlock or spec.unsandboxed else (_NO_SANDBOX,)),
        ),
    )


def _reload_socket(
    spec: ServeSpec, ports: HostPorts, root: Path, *, official: bool
) -> tuple[str | None, tuple[str, ...]]:
    """Returns the UNIX socket that takes reloads, or None if the gRPC port takes them; and the flags for it.

    The official server takes reloads wherever it serves gRPC, and it needs a port or a socket for that.
    """
    if ports.grpc is not None and (official or spec.reload_over_tcp):
        return None, ()
    named = flag_value(spec.server_flags, _GRPC_SOCKET)
    if not official:
        if ports.grpc is None and not named and (spec.single_model or spec.config):
            return None, ()  # it takes no reloads, and tfserve sends none
        path = f"{root}/{_SOCKETS}/reload"
        return path, (f"--config_reload_socket_path={path}",)
    if named:
        return str(root / named), ()
    path = f"{root}/{_SOCKETS}/grpc"
    short = path if len(os.fsencode(path)) <= MAX_PATH_BYTES else f"{_SOCKETS}/grpc"  # relative to `root`
    return path, (f"--{_GRPC_SOCKET}={short}",)


def _sandbox(spec: ServeSpec, root: Path, *, official: bool) -> Sandbox:
    """Returns the sandbox. A file that no server parses is not in it: its content was not checked, and can be any."""
    own = () if spec.config is None else (spec.config,)
    named = (file.path for file in named_files(spec.server_flags) if official or file.flag not in FILES_WITHOUT_EFFECT)
    socket = flag_value(spec.server_flags, _GRPC_SOCKET)
    return Sandbox(
        read=tuple(map(str, (*own, *named))),
        sockets=(str(root / socket),) if socket else (),
        connect=any(model.is_remote for model in spec.models),
    )
