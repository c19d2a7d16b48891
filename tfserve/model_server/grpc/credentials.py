"""The credentials of the gRPC port: none, TLS or ALTS.

Sources: ``server.cc`` and ``ssl_config.proto`` of TensorFlow Serving.
"""

from __future__ import annotations

from pathlib import Path

import grpc

from tfserve.model_server import log
from tfserve.model_server.status import invalid_argument
from tfserve.model_server.text_files import read_message
from tfserve.protos.server_config_pb2 import SSLConfig


def server_credentials(ssl_config_file: str, use_alts: bool) -> grpc.ServerCredentials | None:
    """Returns the credentials of the server; None for an insecure port.

    Args:
        ssl_config_file: path of an ``SSLConfig`` in protobuf text format; empty for none.
        use_alts: whether to use Google's ALTS, which works only on Google's machines.

    Raises:
        StatusError: INVALID_ARGUMENT, both are given, or the file lacks a field; another code, the file cannot be read.
    """
    if use_alts:
        if ssl_config_file:
            raise invalid_argument("Either use_alts_credentials must be false or ssl_config_file must be empty.")
        log.info("Using ALTS credentials")
        return grpc.alts_server_credentials()
    if not ssl_config_file:
        log.info("Using InsecureServerCredentials")
        return None
    config = read_message(Path(ssl_config_file), SSLConfig())
    if not config.server_key or not config.server_cert:
        raise invalid_argument(f"{ssl_config_file} lacks server_key or server_cert, in PEM format")
    if config.client_verify and not config.custom_ca:
        raise invalid_argument(f"{ssl_config_file} has client_verify, but no custom_ca to verify clients with")
    log.info("Using SSL credentials")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )
