"""The UNIX socket that takes configuration reloads, which only the user that runs the server can open.

A configuration names models, and models are programs: a client that can reload it runs programs as that user.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from pathlib import Path
from urllib.parse import quote

import grpc
import grpc.aio

from tfserve.host.unix_sockets import remove_stale, short_path
from tfserve.model_server import log
from tfserve.model_server.grpc import compression
from tfserve.model_server.grpc.calls import Calls
from tfserve.model_server.grpc.handlers import service_handler
from tfserve.model_server.grpc.model_service import MAX_RELOAD_BYTES, model_service
from tfserve.model_server.inference.dispatcher import DRAIN_SECONDS
from tfserve.model_server.models.manager import Manager
from tfserve.model_server.status import StatusError, invalid_argument

_MODE = 0o600
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
        if not self._path.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "its directory does not exist")
        # The descriptor stays open until the process ends: gRPC removes the socket by this path.
        address, _ = short_path(self._path)
        remove_stale(address)
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


def _unusable(path: Path, problem: str) -> StatusError:
    return invalid_argument(f"--config_reload_socket_path: {path}: {problem}")
