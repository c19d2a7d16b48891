"""The UNIX socket that takes configuration reloads, which only the user that runs the server can open.

A configuration names models, and models are programs: whoever can reload it runs programs as that user.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import quote

import grpc
import grpc.aio

from tfserve.model_server import log
from tfserve.model_server.grpc import compression
from tfserve.model_server.grpc.calls import Calls
from tfserve.model_server.grpc.handlers import service_handler
from tfserve.model_server.grpc.model_service import MAX_RELOAD_BYTES, model_service
from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.status import StatusError, invalid_argument

_MODE = 0o600
_MAX_PATH_BYTES = 107 if sys.platform == "linux" else 103  # of sockaddr_un
_DESCRIPTORS = Path("/proc/self/fd")
_MAX_BYTES_IN_FLIGHT = 64 << 20


class ReloadSocket:
    """A gRPC server with the ``ModelService`` alone; it listens once it is created, and answers while `serve` runs.

    Args:
        manager: has the models.
        path: where the socket is created, with mode 0600; relative to the working directory, or absolute. A socket on
            which no process listens is replaced.

    Raises:
        StatusError: INVALID_ARGUMENT, the socket cannot be created, or a process listens on it.
    """

    def __init__(self, manager: Manager, path: str) -> None:
        self._path = Path(path).absolute()
        arguments = {"grpc.max_receive_message_length": MAX_RELOAD_BYTES, **compression.ARGUMENTS}
        self._server = grpc.aio.server(options=list(arguments.items()))
        service = service_handler(
            "tensorflow.serving.ModelService", model_service(manager), Calls(_MAX_BYTES_IN_FLIGHT)
        )
        self._server.add_generic_rpc_handlers((service,))
        try:
            self._listen()
        except OSError as failure:
            raise _unusable(self._path, failure.strerror or str(failure)) from None
        log.info(f"Taking configuration reloads at UNIX socket {path} ...")

    async def serve(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, gives running reloads DRAIN_SECONDS to finish, and removes the socket."""
        await self._server.start()
        await stop.wait()
        await self._server.stop(DRAIN_SECONDS)
        self._path.unlink(missing_ok=True)  # gRPC removes it as well

    def _listen(self) -> None:
        """Creates the socket; raises StatusError or OSError if that fails."""
        address = _short(self._path)
        _remove_stale(address)
        before = os.umask(~_MODE & 0o777)  # the socket has its mode from the moment it is created
        try:
            # The address is a URI.
            self._server.add_insecure_port(f"unix:{quote(os.fsencode(address))}")
        except RuntimeError as failure:
            raise _unusable(self._path, str(failure)) from None
        finally:
            os.umask(before)
        made = address.lstat()
        if stat.S_IMODE(made.st_mode) != _MODE or made.st_uid != os.geteuid():
            address.unlink(missing_ok=True)
            raise _unusable(self._path, "its file system does not keep the mode of a socket")


def _short(path: Path) -> Path:
    """Returns a path of the same file that is short enough for the address of a socket.

    Raises:
        StatusError: INVALID_ARGUMENT, there is none.
        OSError: the directory does not exist or cannot be read.
    """
    if not path.parent.is_dir():
        raise NotADirectoryError(0, "its directory does not exist")
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        return path
    if _DESCRIPTORS.is_dir():
        # The descriptor stays open until the process ends: gRPC removes the socket by this path.
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        short = _DESCRIPTORS / str(directory) / path.name
        if len(os.fsencode(short)) <= _MAX_PATH_BYTES:
            return short
    raise _unusable(path, f"it has more than {_MAX_PATH_BYTES} bytes; choose a shorter one")


def _remove_stale(address: Path) -> None:
    """Removes a socket on which no process listens.

    Raises:
        OSError: a process listens on it, the file is not a socket, or it cannot be opened or removed.
    """
    try:
        mode = address.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(0, "a file of that name exists, and it is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(address))
        except ConnectionRefusedError:
            address.unlink()
            return
        except BlockingIOError:  # a process listens, and its queue of connections is full
            pass
    raise FileExistsError(0, "another process takes reloads there; stop it, or choose another path")


def _unusable(path: Path, problem: str) -> StatusError:
    return invalid_argument(f"--config_reload_socket_path: {path}: {problem}")
