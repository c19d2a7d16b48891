"""Gives up privileges: the calling process, and every program that it starts from then on, can never get them back.

The rights on files and addresses are given up with Landlock (see `tfserve.host.landlock`), and the capabilities of root
with ``capset``. The kernel does this for one thread, so it is done before there are others. Sources: landlock(7),
capabilities(7), PR_SET_NO_NEW_PRIVS(2const).

As a program, this file starts another one without privileges: ``privileges.py RULESET REPORT PROGRAM ARGUMENT…``. If
that fails, the number of the error is written to the descriptor REPORT. This file imports nothing that takes time.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["NO_RULESET", "READ_DIR", "READ_FILE", "add_path", "drop_privileges", "system_call"]

NO_RULESET = -1
"""In place of the descriptor of a ruleset, where the kernel has no Landlock."""

READ_FILE, READ_DIR = 1 << 2, 1 << 3
"""The rights to read a file and to list a directory, in a ruleset."""

_ADD_RULE, _RESTRICT_SELF = 445, 446
_PATH_BENEATH = 1  # a kind of rule
_OWN = (("/proc/self/cmdline", READ_FILE), ("/proc/self/fd", READ_DIR))  # of the process itself
_SET_NO_NEW_PRIVILEGES, _DROP_FROM_BOUNDING_SET = 38, 24  # of prctl
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3: 64 capabilities, in two words of 32
_READ_EVERY_FILE, _BIND_LOW_PORTS = 2, 10  # CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE
_KEPT = 1 << _READ_EVERY_FILE | 1 << _BIND_LOW_PORTS


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("path", ctypes.c_int32))


def drop_privileges(ruleset: int) -> None:
    """Gives up what a model server does not need; this process has no other threads.

    Afterwards no program gets more privileges by being executed (set-user-ID), root has no capabilities except to read
    files of other users and to bind low ports, and the process can use the files and addresses in `ruleset`. It can
    also read its own command line, without which TensorFlow aborts, and list the numbers of its descriptors.

    Args:
        ruleset: the descriptor of a Landlock ruleset, which is closed; or `NO_RULESET`.

    Raises:
        OSError: the kernel refuses.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None, use_errno=True)
    _check(library.prctl(_SET_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0))))
    _drop_capabilities(library)
    if ruleset != NO_RULESET:
        for path, right in _OWN:
            # They stay open: a rule is about an inode, which the kernel could replace if nothing used it.
            descriptor = os.open(path, os.O_PATH)
            os.set_inheritable(descriptor, True)
            add_path(ruleset, descriptor, right)
        system_call(_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)


def add_path(ruleset: int, descriptor: int, rights: int) -> None:
    """Adds `rights` on an open file, or on an open directory and everything below it, to a ruleset.

    Raises:
        OSError: the kernel refuses.
    """
    system_call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_PathBeneath(rights, descriptor)), 0)


def system_call(number: int, *arguments: object) -> int:
    """Makes a system call for which the C library has no function.

    Args:
        number: its number, which is the same on every architecture for calls that were added after 2019.
        arguments: ints, pointers of ctypes, or None.

    Raises:
        OSError: the call failed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    words = (ctypes.c_long(word) if isinstance(word, int) else word for word in arguments)
    return _check(library.syscall(ctypes.c_long(number), *words))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _drop_capabilities(library: ctypes.CDLL) -> None:
    """Reduces the capabilities of this thread to `_KEPT`, as far as it has them; only root has any."""
    header, words = _Header(_CAPABILITY_VERSION, 0), (_Word * 2)()
    _check(library.capget(ctypes.byref(header), words))
    if not any(word.permitted for word in words):
        return
    for number in range(32 * len(words)):
        if not _KEPT >> number & 1:  # this fails for numbers that no capability has, and if none can be dropped
            library.prctl(_DROP_FROM_BOUNDING_SET, *map(ctypes.c_ulong, (number, 0, 0, 0)))
    for index, word in enumerate(words):
        word.permitted &= _KEPT >> 32 * index & 0xFFFFFFFF
        word.effective = word.permitted
        word.inheritable = 0
    _check(library.capset(ctypes.byref(header), words))


def _main(ruleset: str, report: str, *command: str) -> None:
    os.set_inheritable(int(report), False)
    try:
        drop_privileges(int(ruleset))
        os.execv(command[0], command)  # noqa: S606 - there is no shell
    except OSError as error:
        os.write(int(report), str(error.errno).encode())
        os._exit(127)


if __name__ == "__main__":
    _main(*sys.argv[1:])
