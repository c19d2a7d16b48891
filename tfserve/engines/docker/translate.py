"""Translates between the data of this program and that of the Docker Engine's API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfserve.addresses import reachable
from tfserve.defaults import HOST
from tfserve.engines.docker.fields import moment, text
from tfserve.plan import labels
from tfserve.plan.engine_facts import EngineFacts
from tfserve.spec.image import GRPC_PORT, REST_PORT

if TYPE_CHECKING:
    from docker import APIClient

    from tfserve.plan.launch_plan import LaunchPlan

__all__ = ["container_arguments", "engine_facts", "server_fields"]

_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MAX_LABEL = 2**20


def engine_facts(info: Mapping[str, Any], host: str | None) -> EngineFacts:
    """Reads the facts that a plan depends on from ``docker info``."""
    security = info.get("SecurityOptions") or []
    return EngineFacts(
        rootless=any("rootless" in text(option) for option in security),
        selinux=any("selinux" in text(option) for option in security),
        runtimes=frozenset(map(text, info.get("Runtimes") or {})),
        devices=frozenset(str(device.get("ID")) for device in info.get("DiscoveredDevices") or ()),
        architecture=str(info.get("Architecture") or "x86_64"),
        desktop=info.get("OperatingSystem") == "Docker Desktop",
        host=host,
    )


def container_arguments(client: APIClient, plan: LaunchPlan) -> dict[str, Any]:
    """The arguments of the SDK's ``create_container`` that create the container of `plan`."""
    from docker.types import DeviceRequest, Mount

    restart, _, times = (plan.restart or "no").partition(":")
    published = [port for port in (plan.rest, plan.grpc) if port]
    host_config = client.create_host_config(
        port_bindings={port.server_port: (port.host, port.host_port or None) for port in published},
        mounts=[Mount(mount.target, mount.source, type="bind", read_only=mount.read_only) for mount in plan.mounts],
        init=plan.init,
        cap_drop=list(plan.dropped_capabilities),
        security_opt=list(plan.security_options),
        mem_limit=plan.memory,
        nano_cpus=None if plan.cpus is None else round(plan.cpus * 1e9),
        restart_policy={"Name": restart, "MaximumRetryCount": int(times or 0)},
        auto_remove=plan.remove,
        runtime=plan.runtime,
        device_requests=None if plan.gpus is None else [DeviceRequest(capabilities=[["gpu"]], **_devices(plan.gpus))],
    )
    return {
        "image": plan.image,
        "command": list(plan.command) or None,
        "name": plan.container_name,
        "environment": {**plan.environment, **plan.secrets},
        "ports": [port.server_port for port in published],
        "labels": dict(plan.labels),
        "user": plan.user,
        "platform": plan.platform,
        "detach": True,
        "host_config": host_config,
    }


def _devices(gpus: str) -> dict[str, Any]:
    """Parses a value as Docker's ``--gpus`` does; https://docs.docker.com/reference/cli/docker/container/run/#gpus."""
    if gpus.startswith("device="):
        return {"device_ids": gpus.removeprefix("device=").split(",")}
    return {"count": -1 if gpus == "all" else int(gpus)}


def server_fields(data: dict[str, Any]) -> dict[str, Any]:
    """Reads one entry of the engine's container list into the fields of a `Server`.

    Raises:
        DamagedLabelError: a label is not one that tfserve writes.
        LookupError, TypeError, ValueError: the entry does not have the form that an engine gives it.
    """
    written = _labels(data)
    label = written.get(labels.SPEC, "")
    if label:
        _check_spec(label)
    rest, grpc = (_address(data, port) for port in (REST_PORT, GRPC_PORT))
    return {
        "name": _name(written),
        "state": text(data["State"]),
        "models": _names(written.get(labels.MODELS, "")),
        "created": moment(data["Created"]),
        "rest_url": f"http://{rest}" if rest else None,
        "grpc_address": grpc,
        "image": text(data["Image"]),
        "container_id": text(data["Id"]),
        "gpu": written.get(labels.GPU) == "true",
        "auto_remove": labels.removed_at_stop(label),
        "mounts": tuple(text(mount["Source"]) for mount in data.get("Mounts") or () if mount.get("Source")),
        "config": written.get(labels.CONFIG),
        "label": label,
    }


def _labels(data: dict[str, Any]) -> dict[str, str]:
    written = data["Labels"]
    for name, value in written.items():
        if name.startswith(labels.PREFIX) and (not isinstance(value, str) or len(value) > _MAX_LABEL):
            raise labels.DamagedLabelError(f"the label {name} is not a text, or is too long")
    return dict(written)


def _name(written: Mapping[str, str]) -> str:
    name = written[labels.NAME]
    if len(name) > labels.MAX_NAME or not _SERVER_NAME.fullmatch(name):
        raise labels.DamagedLabelError(f"the label {labels.NAME} is not the name of a server")
    return name


def _check_spec(label: str) -> None:
    try:
        models = labels.read_label(label).get("models", [])
    except labels.DamagedLabelError as error:
        raise labels.DamagedLabelError(f"the label {labels.SPEC} is damaged: {error}") from None
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise labels.DamagedLabelError(f"the label {labels.SPEC} is damaged: its models are not a list of objects")


def _names(label: str) -> tuple[str, ...]:
    """Reads a list of names from a label, which can be missing."""
    try:
        return labels.read_names(label) if label else ()
    except labels.DamagedLabelError as error:
        raise labels.DamagedLabelError(f"the label {labels.MODELS} is damaged: {error}") from None


def _address(data: dict[str, Any], port: int) -> str | None:
    for published in data.get("Ports") or ():
        if published["PrivatePort"] == port and published.get("PublicPort"):
            public = published["PublicPort"]
            if not isinstance(public, int) or not 0 < public < 2**16:
                raise ValueError("a published port is not a number of a port")
            return reachable(text(published.get("IP") or HOST), public)
    return None
