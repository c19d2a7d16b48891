"""The file of ``--model_config_file``: read at the start, then polled and applied when it changes.

Source: ``PollFilesystemAndReloadConfig`` of TensorFlow Serving.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tfserve.model_server import log
from tfserve.model_server.models.config import ModelConfig, model_configs
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.status import StatusError
from tfserve.model_server.text_files import parse_text_file, read_text_file

if TYPE_CHECKING:
    from tfserve.protos.model_config_pb2 import ModelServerConfig


def read_models(path: Path) -> tuple[ModelConfig, ...]:
    """Returns the models that a configuration file lists.

    Raises:
        StatusError: the file cannot be read or parsed, or `model_configs` refuses it.
    """
    return model_configs(_parse(path, read_text_file(path)))


class ConfigFilePoller:
    """Polls a configuration file, in a thread of its own.

    The configuration in the file is applied whenever it is not the current one: when the file changes, but also after
    a reload by RPC, and at the next poll after it was refused.

    Args:
        path: the file, in protobuf's text format.
        seconds: seconds between two polls.
        manager: serves the models.
    """

    def __init__(self, path: Path, seconds: float, manager: Manager) -> None:
        self._path = path
        self._seconds = seconds
        self._manager = manager
        self._text = b""  # the last valid content of the file
        self._models: tuple[ModelConfig, ...] = ()  # the models in it
        self._stopping = threading.Event()

    def start(self) -> None:
        """Starts polling."""
        threading.Thread(target=self._run, name="config-file", daemon=True).start()

    def stop(self) -> None:
        """Stops polling."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._poll()

    def _poll(self) -> None:
        try:
            text = read_text_file(self._path)
            config = None if text == self._text else _parse(self._path, text)
        except StatusError as failure:
            log.error(f"Failed to read ModelServerConfig file: {failure.message}")
            return
        try:
            if config is not None:
                self._models = model_configs(config, self._manager.models)
                self._text = text
        except StatusError as failure:
            _log_failure(failure)
            return
        if self._models != self._manager.models:
            self._manager.replace(self._models).add_done_callback(lambda done: _log_failure(done.exception()))


def _log_failure(failure: BaseException | None) -> None:
    if isinstance(failure, StatusError):
        log.error(f"PollFilesystemAndReloadConfig failed to ReloadConfig: {failure.message}")


def _parse(path: Path, text: bytes) -> ModelServerConfig:
    from tfserve.protos.model_config_pb2 import ModelServerConfig

    return parse_text_file(path, text, ModelServerConfig())
