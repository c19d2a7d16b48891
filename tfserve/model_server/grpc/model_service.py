"""The status and metadata of models over gRPC, and the reload of their configuration.

Sources: ``get_model_metadata_impl.cc``, ``get_model_status_impl.cc`` and ``model_service_impl.cc`` of TensorFlow
Serving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from google.protobuf.message import Message

from tfserve.model_server import log
from tfserve.model_server.grpc.calls import Call
from tfserve.model_server.grpc.handlers import Method
from tfserve.model_server.grpc.messages import model_spec, read_message, requested_model
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.monitoring.metric import Counter
from tfserve.model_server.monitoring.metrics import METRICS
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos import apis_pb2
from tfserve.protos.survey import survey
from tfserve.protos.version_status import State
from tfserve.text import printable

MAX_SHORT_BYTES = 1 << 16
"""Size of the largest request for a status or metadata, which has little more than a name."""

MAX_RELOAD_BYTES = 4 << 20
"""Size of the largest configuration, which has room for many thousand models; gRPC's own default limit."""

_MAX_RELOAD_FIELDS = 200_000
_MAX_LOGGED = 1000

_SIGNATURE_DEF = "signature_def"
_NOT_HERE = (
    "The configuration of this server can only be reloaded on its UNIX socket {path}, which is open to the user that "
    "runs it. To take HandleReloadConfigRequest at this address, start the server without --config_reload_socket_path; "
    "with tfserve, use --reload-over-tcp."
)
_SIGNATURE_DEF_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


def model_service(manager: Manager, reload_socket: str = "") -> dict[str, Method]:
    """Returns the methods of the ``ModelService``.

    Args:
        manager: has the models.
        reload_socket: the only address at which reloads are taken; empty if the service that is returned takes them.
    """

    async def status(body: bytes, call: Call) -> bytes:
        return get_model_status(manager, body)

    async def reload(body: bytes, call: Call) -> bytes:
        if reload_socket:
            raise StatusError(Code.PERMISSION_DENIED, _NOT_HERE.format(path=printable(reload_socket)))
        return await asyncio.to_thread(reload_config, manager, body)

    return {
        "GetModelStatus": Method(status, MAX_SHORT_BYTES),
        "HandleReloadConfigRequest": Method(reload, MAX_RELOAD_BYTES),
    }


def get_model_metadata(manager: Manager, body: bytes) -> bytes:
    """Answers a ``GetModelMetadataRequest``.

    Raises:
        StatusError: INVALID_ARGUMENT, the request names no model or an unknown field; NOT_FOUND, the model is not
            available.
    """
    request = read_message(apis_pb2.GetModelMetadataRequest, body)
    spec = model_spec(request)
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    response = apis_pb2.GetModelMetadataResponse()
    signatures = apis_pb2.SignatureDefMap()
    with manager.use(requested_model(spec)) as servable:
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature.definition)
    packed = response.metadata[_SIGNATURE_DEF]
    packed.type_url = _SIGNATURE_DEF_URL
    packed.value = signatures.SerializeToString()
    return _serialized(response)


def get_model_status(manager: Manager, body: bytes) -> bytes:
    """Answers a ``GetModelStatusRequest``; a label in it is ignored, and all versions are returned.

    Raises:
        StatusError: INVALID_ARGUMENT, the request names no model; NOT_FOUND, the model or the version is unknown.
    """
    spec = model_spec(read_message(apis_pb2.GetModelStatusRequest, body))
    response = apis_pb2.GetModelStatusResponse()
    for status in manager.statuses(spec.name, spec.version.value if spec.HasField("version") else None):
        added = response.model_version_status.add(version=status.version, state=State[status.state])
        added.status.error_code = Code[status.error_code]
        added.status.error_message = status.error_message
    return _serialized(response)


def reload_config(manager: Manager, body: bytes) -> bytes:
    """Answers a ``ReloadConfigRequest`` once the manager has applied the new configuration, which may take long.

    Raises:
        StatusError: INVALID_ARGUMENT, the request has no list of models; or any error of `Manager.reload`.
    """
    found = survey(body, apis_pb2.ReloadConfigRequest, _MAX_RELOAD_FIELDS, _MAX_RELOAD_FIELDS)
    if found.fields > _MAX_RELOAD_FIELDS:
        raise StatusError(Code.RESOURCE_EXHAUSTED, f"The configuration has more than {_MAX_RELOAD_FIELDS} fields")
    request = read_message(apis_pb2.ReloadConfigRequest, body)
    names = tuple(dict.fromkeys(request.metric_names))
    before = _metric_values(names)
    try:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid_argument(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. "
                "Only ModelConfigList is currently supported"
            )
        configs = request.config.model_config_list.config
        for index, config in enumerate(configs[:_MAX_LOGGED]):
            log.info(
                f"\nConfig entry\n\tindex : {index}\n\tpath : {config.base_path}\n\tname : {config.name}"
                f"\n\tplatform : {config.model_platform}"
            )
        if len(configs) > _MAX_LOGGED:
            log.info(f"{len(configs) - _MAX_LOGGED} more config entries")
        manager.reload(request.config)
    except StatusError as failure:
        log.error(f"ReloadConfig failed: {failure.message}")
        raise
    response = apis_pb2.ReloadConfigResponse()
    response.status.error_code = 0
    response.status.SetInParent()
    for name, old, new in zip(names, before, _metric_values(names), strict=True):
        response.metric.add(name=name, int64_value_increase=new - old)
    return _serialized(response)


def _metric_values(names: Iterable[str]) -> list[int]:
    """Returns the value of each metric: the first one of a counter with labels, and 0 for all but counters."""
    counters = {metric.name: metric for metric in METRICS if isinstance(metric, Counter)}
    return [counters[name].first_value() if name in counters else 0 for name in names]


def _serialized(message: Message) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
