from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tfserve.client.grpc_channel import open_socket
from tfserve.errors import RequestError
from tfserve.host.unix_sockets import MAX_PATH_BYTES, remove_stale, short_path


def path_of(directory: Path, length: int) -> Path:
    """Returns a path of `length` bytes, whose directory exists."""
    while length - len(os.fsencode(directory)) > 60:
        directory /= "d" * 40
    directory.mkdir(parents=True, exist_ok=True)
    return directory / ("n" * (length - len(os.fsencode(directory)) - 1))


def is_open(directory: Path) -> bool:
    """Whether this process has a descriptor of a directory, or of what is below it."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it was that of the listing
            found.append(descriptor.readlink())
    return any(path.is_relative_to(directory) for path in found)


@pytest.mark.parametrize("length", [MAX_PATH_BYTES - 1, MAX_PATH_BYTES, MAX_PATH_BYTES + 1, 400])
def test_sockets_with_a_path_of_any_length(tmp_path: Path, length: int) -> None:
    path = path_of(tmp_path, length)
    with ExitStack() as opened:
        short, directory = short_path(path)
        if directory is not None:
            opened.callback(os.close, directory)
        assert (short == path) == (length <= MAX_PATH_BYTES)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(short))
            listener.listen()
            with pytest.raises(OSError) as caught:
                remove_stale(path)
            assert caught.value.errno == errno.EADDRINUSE
            assert path.is_socket()
            with open_socket(path):
                pass
    remove_stale(path)
    assert not path.exists()
    remove_stale(path)
    with pytest.raises(RequestError) as refused, open_socket(path):
        pass
    assert path.name in refused.value.message
    assert not is_open(tmp_path)


def test_paths_that_no_socket_can_have(tmp_path: Path) -> None:
    for path, number in (
        (tmp_path / ("n" * 200), errno.ENAMETOOLONG),
        (tmp_path / ("d" * 200) / "socket", errno.ENOENT),
    ):
        with pytest.raises(OSError) as caught:
            short_path(path)
        assert caught.value.errno == number
        with pytest.raises(RequestError), open_socket(path):
            pass
    for path in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(FileExistsError):
            remove_stale(path)
        assert path.exists()
    assert not is_open(tmp_path)
