"""Directories and files that no other user can change, or else they are refused.

What tfserve reads from its own directories decides which programs it starts, which processes it signals and which
models it serves. It is therefore not enough that a directory exists: another user could have created it, for example
where ``XDG_STATE_HOME`` is in a shared directory such as ``/tmp``.

tfserve's own directories must belong to the user (or to root), and no other user may write to them. The directories
above them are checked as well, because a user who can write to one can replace what is in it: each belongs to the user
or to root, and no other user can write to it, unless it is sticky as ``/tmp`` is. Links are followed if they belong to
the user or to root. Once all this holds, only the user and root can change what a path means, so that nothing can
happen between the check and the use.

A group may write if it is the private group of the user: the primary group, without other members. Debian and Fedora
create such groups, and their users often have the umask 002; the home directory in Jupyter's images has one, too.
OpenSSH in Debian and Fedora follows the same rule for its files. Where other users may exist than those that the system
lists, as with LDAP, only a group with the name of the user is private. The group of root is never private, as it has
other members on some systems.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tfserve.errors import NotPrivateError
from tfserve.text import shell_quoted

__all__ = ["check_private", "make_private", "open_private", "read_private", "who_can_change", "write_private"]

_SERVICES = Path("/etc/nsswitch.conf")
_MAX_LINKS = 40  # as in Linux
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class _Problem(NamedTuple):
    """Why `path`, a directory, link or file, is not private; `fix` is a command, None if it belongs to another user."""

    path: str
    text: str
    fix: str | None = None


def check_private(path: Path, variable: str) -> None:
    """Checks that only this user and root can change a directory, or what its path means; see above.

    Args:
        path: a directory of tfserve, absolute. Its part that does not exist yet is not checked.
        variable: the environment variable that sets where it is, for the hint.

    Raises:
        NotPrivateError: another user can.
    """
    problem = _walk(path)
    if problem is not None:
        raise _refusal(path, problem, variable)


def make_private(path: Path, variable: str) -> None:
    """Creates a directory and those above it, with mode 0700 under any umask, and checks it as `check_private`.

    Raises:
        NotPrivateError: another user can change it.
        OSError: it cannot be created.
    """
    check_private(path, variable)
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:  # another command created it meanwhile, or in a sticky directory another user
            check_private(directory, variable)
        else:
            directory.chmod(0o700)  # no other user can replace it, as what is above it was checked


def open_private(path: Path, flags: int, variable: str) -> int:
    """Opens a file in a directory that was checked; a new one has mode 0600 under any umask.

    Raises:
        NotPrivateError: the file belongs to another user, or others can write to it.
        OSError: it cannot be opened, or is not a regular file.
    """
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(None, "Not a regular file", str(path))
        if problem := _problem_of(str(path), found):
            raise _refusal(path, problem, variable)
        if flags & os.O_CREAT and stat.S_IMODE(found.st_mode) != 0o600 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_private(path: Path, variable: str) -> str:
    """Reads a text file; see `open_private`."""
    with os.fdopen(open_private(path, os.O_RDONLY, variable), encoding="utf-8") as file:
        return file.read()


def write_private(path: Path, text: str, variable: str) -> None:
    """Writes a text file with mode 0600, atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process that was killed
    with os.fdopen(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, variable), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def who_can_change(directory: Path) -> str | None:
    """Returns which other user can change a directory or something in it, and why; None if no other user can.

    A file that cannot be read is not looked at, nor is what a link in the directory leads to.
    """
    found = _walk(directory) or next(_problems_below(directory), None)
    return None if found is None else f"{found.path!r} {found.text}"


def _is_home_of_another() -> bool:
    """Whether ``HOME`` is the home directory of another user, as with ``sudo``, which can keep that of its caller."""
    try:
        return os.stat(os.environ["HOME"]).st_uid != os.geteuid()  # noqa: PTH116
    except (KeyError, OSError):
        return False


def _problems_below(directory: Path) -> Iterator[_Problem]:
    pending = [str(directory)]
    while pending:  # os.walk recurses in older versions of Python, and the directories can be deep
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with suppress(OSError):  # it was removed meanwhile
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        pending.append(entry.path)
                    if not stat.S_ISLNK(status.st_mode) and (problem := _problem_of(entry.path, status)):
                        yield problem


def _walk(path: Path) -> _Problem | None:
    """Checks everything on a path, from the root; the directory itself more strictly than those above it."""
    names, current, links = list(reversed(path.parts[1:])), path.anchor, 0
    if problem := _problem_of(current, os.lstat(current), above=True):
        return problem
    while names:
        name = names.pop()
        if name == os.pardir:
            current = os.path.dirname(current)  # noqa: PTH120 - links on the way are resolved
            continue
        entry = os.path.join(current, name)  # noqa: PTH118
        try:
            found = os.lstat(entry)
            if problem := _problem_of(entry, found, above=True):
                return problem
            if stat.S_ISLNK(found.st_mode):
                links += 1
                if links > _MAX_LINKS:
                    return None  # using the path fails
                target = Path(os.readlink(entry))  # noqa: PTH115
                current = target.anchor or current
                names += reversed(target.parts[1:] if target.anchor else target.parts)
                continue
        except OSError:  # it does not exist, or cannot be accessed
            return None
        current = entry
    try:
        return _problem_of(current, os.lstat(current))
    except OSError:  # it was removed meanwhile
        return None


def _problem_of(path: str, found: os.stat_result, *, above: bool = False) -> _Problem | None:
    """Returns why a directory, link or file is not private, as far as its owner and mode show.

    Args:
        path: its path.
        found: its status.
        above: whether it is only on the way to what matters, so that it may be a link or sticky.
    """
    if found.st_uid not in _trusted_owners(os.geteuid()):
        return _Problem(path, f"belongs to {_name_of(found.st_uid)}")
    if stat.S_ISLNK(found.st_mode) and above:
        return None
    writable = found.st_mode & _WRITABLE
    if above and found.st_mode & stat.S_ISVTX:
        return None
    if writable == stat.S_IWGRP and _is_private_group(os.geteuid(), found.st_gid):
        return None
    if not writable:
        return None
    others = "every user" if writable & stat.S_IWOTH else "its group"
    text = f"belongs to {_name_of(found.st_uid)} but can be written by {others} (mode {stat.S_IMODE(found.st_mode):o})"
    return _Problem(path, text, f"chmod go-w {shell_quoted(path)}")


def _refusal(path: Path, problem: _Problem, variable: str) -> NotPrivateError:
    what = "it" if str(path) == problem.path else repr(problem.path)
    elsewhere = f"export {variable}=DIRECTORY   (a directory of your own, that no other user can write to)"
    if problem.fix is not None:
        hint = f"If everything in it is yours: {problem.fix}\nOr choose another directory: {elsewhere}"
    elif os.geteuid() == 0 and not os.environ.get(variable) and _is_home_of_another():
        hint = f"With sudo, use the home directory of root: sudo -H tfserve …\nOr choose another directory: {elsewhere}"
    else:
        hint = f"Choose another directory: {elsewhere}"
    return NotPrivateError(
        f"tfserve does not use {str(path)!r}: {what} {problem.text}. Another user could change what is there.",
        hint=hint,
    )


@cache
def _trusted_owners(uid: int) -> frozenset[int]:
    """Returns a user and root. In a user namespace, root may have the uid of all users outside it."""
    owners = {uid, 0}
    try:
        mapped = [list(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):  # not Linux
        return frozenset(owners)
    if mapped and not any(first <= overflow < first + count for first, _, count in mapped):
        owners.add(overflow)
    return frozenset(owners)


@cache
def _is_private_group(uid: int, gid: int) -> bool:
    """Whether a user is the only member of a group that was created for them."""
    import grp
    import pwd

    if uid == 0 or gid == 0:
        return False
    try:
        user, group = pwd.getpwuid(uid), grp.getgrgid(gid)
    except KeyError:
        return False
    alone = all(other.pw_uid == uid for other in pwd.getpwall() if other.pw_gid == gid)
    own = group.gr_name == user.pw_name or _lists_all_users()
    return own and alone and gid == user.pw_gid and {*group.gr_mem} <= {user.pw_name}


def _lists_all_users() -> bool:
    """Whether all users and groups are in files of this machine; see nsswitch.conf(5)."""
    try:
        lines = _SERVICES.read_text().splitlines()
    except OSError:
        return False
    services = [
        line.partition(":")[2].split() for line in lines if line.startswith(("passwd:", "group:", "initgroups:"))
    ]
    return len(services) >= 2 and all({*each} <= {"files", "compat", "systemd"} for each in services)


def _name_of(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"the user {uid}"
