"""Copies of models that were added to a server while it was running in its sandbox, where it cannot read the originals.

A copy consists of hard links to the user's own files, if both are on the same file system: it takes no space, and does
not change when the original is removed or exported again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tfserve.engines.local.state import STATE_VARIABLE
from tfserve.host.private import make_private
from tfserve.host.removal import remove_tree
from tfserve.models.tree import open_resolved, reading, walk

if TYPE_CHECKING:
    from tfserve.plan.launch_plan import Mount

__all__ = ["copy_model", "replace_copies"]


def copy_model(source: Path, target: Path) -> None:
    """Copies the directory of a model; nothing is left behind if that fails.

    Args:
        source: the directory, absolute and with links resolved.
        target: the copy, which must not exist.

    Raises:
        SavedModelError: a file cannot be read, or is a link out of the directory; see `tfserve.models.tree.walk`.
        OSError: the copy cannot be written.
    """
    draft = target.with_name(f".{target.name}")
    make_private(target.parent, STATE_VARIABLE)
    remove_tree(draft, ignore_errors=True)  # of a command that was killed
    try:
        for found in walk(source, source):
            made = draft / found.name
            if found.size is None:
                made.mkdir()
                made.chmod(0o700)  # under any umask
                continue
            with reading(found.path):
                file = open_resolved(found.path)
            with file:
                _copy(file, made)
        draft.rename(target)
    except BaseException:
        remove_tree(draft, ignore_errors=True)
        raise


def _copy(file: BinaryIO, target: Path) -> None:
    """Links or copies an open file. Only files of this user are linked: other users could still change theirs."""
    with suppress(OSError):  # on another file system, or on one without hard links
        if os.fstat(file.fileno()).st_uid == os.geteuid():
            os.link(f"/proc/self/fd/{file.fileno()}", target, follow_symlinks=True)
            return
    with target.open("xb") as copy:
        target.chmod(0o600)
        shutil.copyfileobj(file, copy, 1 << 20)


def replace_copies(mounts: Iterable[Mount]) -> None:
    """Replaces the copies of models that still exist by links, for a process that can read the models themselves.

    Raises:
        OSError: a copy cannot be replaced.
    """
    for source, target in ((Path(mount.source), Path(mount.target)) for mount in mounts):
        if target.is_dir() and not target.is_symlink() and source.is_dir():
            remove_tree(target)
            target.symlink_to(source)
