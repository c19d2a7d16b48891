"""The file of ``--model_config_file``: read at the start, and again whenever it changes.

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
    """Returns the models that a configuration file names.

    Raises:
        StatusError: the file cannot be read or parsed, or is refused by `model_configs`.
    """
    return model_configs(_parse(path, read_text_file(path)))


class ConfigFile:
    """A configuration file that is read again and again, in a thread of its own.

    What the file says comes into force whenever something else is in force: when the file changes, but also after a
    reload by RPC, and at the next look when it was refused at the last one.

    Args:
        path: the file, in protobuf's text format.
        seconds: time between two looks.
        manager: where its models are to serve.
    """

    def __init__(self, path: Path, seconds: float, manager: Manager) -> None:
        self._path = path
        self._seconds = seconds
        self._manager = manager
        self._text = b""  # the last that made sense
        self._models: tuple[ModelConfig, ...] = ()  # what it says
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begins to look."""
        threading.Thread(target=self._run, name="config-file", daemon=True).start()

    def stop(self) -> None:
        """Ends the looking."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            self._look()

    def _look(self) -> None:
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
            _tell(failure)
            return
        if self._models != self._manager.models:
            self._manager.replace(self._models).add_done_callback(lambda done: _tell(done.exception()))


def _tell(failure: BaseException | None) -> None:
    if isinstance(failure, StatusError):
        log.error(f"PollFilesystemAndReloadConfig failed to ReloadConfig: {failure.message}")


def _parse(path: Path, text: bytes) -> ModelServerConfig:
    from tfserve.protos.model_config_pb2 import ModelServerConfig

    return parse_text_file(path, text, ModelServerConfig())
