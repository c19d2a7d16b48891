"""Facts about users: as whom a server has to run to read its models."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfserve.saved_model import ModelDirectory

__all__ = ["reader_of"]


def reader_of(directories: Sequence[ModelDirectory]) -> tuple[int, int] | None:
    """The uid and gid that can read `directories`, also private ones (mode 0700); None where there are no uids.

    That is the invoking user. Root without its capabilities, which a container does not get, reads no more than
    anybody else; so for root it is the models' owner. Models elsewhere, or inside an image, can be read by everyone.
    """
    if not hasattr(os, "getuid"):
        return None
    if os.getuid() != 0 or not directories:
        return os.getuid(), os.getgid()
    owner = directories[0].newest.path.stat()
    return owner.st_uid, owner.st_gid
