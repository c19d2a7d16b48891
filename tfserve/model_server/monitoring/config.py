"""What ``--monitoring_config_file`` says: whether there is a page of metrics, and where."""

from __future__ import annotations

from pathlib import Path

from tfserve.model_server.monitoring.prometheus import DEFAULT_PATH
from tfserve.model_server.text_files import read_message
from tfserve.protos.server_config_pb2 import MonitoringConfig


def metrics_path(file: str) -> str | None:
    """Returns the path of the page of metrics, or None if there is to be none.

    Args:
        file: a ``MonitoringConfig`` in text format.

    Raises:
        StatusError: the file cannot be read.
    """
    config = read_message(Path(file), MonitoringConfig()).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None
