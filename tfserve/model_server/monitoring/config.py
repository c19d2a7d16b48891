"""The file of ``--monitoring_config_file``: whether to serve a metrics page, and at which path."""

from __future__ import annotations

from pathlib import Path

from tfserve.model_server.monitoring.prometheus import DEFAULT_PATH
from tfserve.model_server.text_files import read_message
from tfserve.protos.server_config_pb2 import MonitoringConfig


def metrics_path(file: str) -> str | None:
    """Returns the path of the metrics page, or None if metrics are not enabled.

    Args:
        file: the path of a ``MonitoringConfig`` in text format.

    Raises:
        StatusError: the file cannot be read.
    """
    config = read_message(Path(file), MonitoringConfig()).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None
