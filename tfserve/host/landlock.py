"""Landlock, with which a process of any user gives up rights on files, TCP ports and other processes for good.

Rules name the files that can still be used: a rule about a directory is also about everything below it, whatever is
created there later. Each version of the kernel's interface (ABI) adds rights that can be given up. Source:
https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import enum
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tfserve.host.privileges import NO_RULESET, READ_DIR, READ_FILE, add_path, system_call

__all__ = ["NEWEST_ABI", "Allowed", "Right", "landlock_abi", "ruleset_of"]

NEWEST_ABI = 7
"""The newest version of the interface that this module knows; newer kernels accept what it does."""

_CREATE_RULESET, _ADD_RULE = 444, 445
_VERSION = 1 << 0  # a flag of _CREATE_RULESET
_NET_PORT = 2  # a kind of rule
_BIND, _CONNECT = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1


class Right(enum.IntFlag):
    """The rights on files; each is explained in `linux/landlock.h`."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = READ_FILE
    READ_DIR = READ_DIR
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15

    READ = READ_FILE | READ_DIR
    RUN = READ | EXECUTE
    WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | REFER | TRUNCATE


_OF_FILES = Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
_ALL = Right((1 << 16) - 1)
_RIGHTS_SINCE = {1: _ALL & ~(Right.REFER | Right.TRUNCATE | Right.IOCTL_DEV)}
_RIGHTS_SINCE |= {2: _RIGHTS_SINCE[1] | Right.REFER}
_RIGHTS_SINCE |= {3: _RIGHTS_SINCE[2] | Right.TRUNCATE, 5: _ALL}


@dataclass(frozen=True)
class Allowed:
    """What is still allowed.

    Attributes:
        files: paths or open descriptors, and the rights on each and on everything below it; paths that do not exist
            are left out.
        ports: the TCP ports to listen on; 0 for a port that the kernel chooses.
        connect: whether TCP connections can be opened.
    """

    files: Iterable[tuple[Path | int, Right]]
    ports: Iterable[int] = ()
    connect: bool = False


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _NetPort(ctypes.Structure):
    _fields_ = (("rights", ctypes.c_uint64), ("port", ctypes.c_uint64))


def landlock_abi() -> int:
    """Returns the version of Landlock's interface that this kernel has; 0 if it has none, or if it is turned off."""
    if sys.platform != "linux":  # the number is that of another system call there
        return 0
    try:
        return system_call(_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


@contextmanager
def ruleset_of(allowed: Allowed, abi: int) -> Iterator[int]:
    """Yields the descriptor of a ruleset for `tfserve.host.privileges`; `NO_RULESET` if `abi` is 0.

    Raises:
        OSError: the kernel refuses.
    """
    if abi == 0:
        yield NO_RULESET
        return
    ruleset = _create(allowed, min(abi, NEWEST_ABI))
    try:
        yield ruleset
    finally:
        os.close(ruleset)


def _create(allowed: Allowed, abi: int) -> int:
    handled = _RIGHTS_SINCE[max(since for since in _RIGHTS_SINCE if since <= abi)]
    network = 0 if abi < 4 else _BIND if allowed.connect else _BIND | _CONNECT
    attributes = _RulesetAttributes(handled, network, _ABSTRACT_SOCKETS | _SIGNALS)
    size = 8 if abi < 4 else 16 if abi < 6 else 24  # of the fields that this version has
    ruleset = system_call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for file, rights in allowed.files:
            if isinstance(file, int):
                _allow(ruleset, file, rights & handled)
            else:
                _allow_path(ruleset, file, rights & handled)
        for port in allowed.ports if network else ():
            rule = _NetPort(_BIND, port)
            system_call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def _allow_path(ruleset: int, path: Path, rights: Right) -> None:
    with suppress(OSError):  # it does not exist, or cannot be reached
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            _allow(ruleset, descriptor, rights)
        finally:
            os.close(descriptor)


def _allow(ruleset: int, descriptor: int, rights: Right) -> None:
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    if rights:
        add_path(ruleset, descriptor, rights)
