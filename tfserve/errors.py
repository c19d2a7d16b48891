"""Every error a user can meet: what is wrong in one sentence, what to do about it in another, and an exit code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

_BEGIN, _END = "\ufdd0", "\ufdd1"  # which Unicode keeps out of all text that is exchanged
_OPTION = re.compile(f"{_BEGIN}(--[a-z0-9-]+)(?: ([^{_BEGIN}{_END}]*))?{_END}")


class TfserveError(Exception):
    """Base of all errors that are shown to a user without a traceback.

    Args:
        message: one sentence that says what is wrong. It and `hint` name options by `option`.
        hint: one sentence, or a few lines, that say what to do about it.
        details: lines shown between the two as they are, such as the end of a server's log.
        doctor: whether ``tfserve doctor`` looks at the cause, so that a user's hint ends in it; None for what is usual
            for this kind of error.
        about: which part of what was asked for it is about: an attribute of a spec, and keys and indices below it, such
            as ``("models", 0, "labels", "stable")``. Whoever read that from a file finds the place by it.
    """

    exit_code: ClassVar[int] = 1
    doctor_knows: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: str | None = None,
        doctor: bool | None = None,
        about: Sequence[str | int] = (),
    ) -> None:
        self.message = message
        self.hint = hint
        self.details = details
        self.doctor = self.doctor_knows if doctor is None else doctor
        self.about = tuple(about)
        self.placed = False

    @property
    def message(self) -> str:
        """What is wrong, with the options as they are typed."""
        return _with_names(self._message, {})

    @message.setter
    def message(self, message: str) -> None:
        self._message = message
        self.args = (self.message,)

    @property
    def hint(self) -> str | None:
        """What to do about it, likewise."""
        return None if self._hint is None else _with_names(self._hint, {})

    @hint.setter
    def hint(self, hint: str | None) -> None:
        self._hint = hint

    def begin_with(self, place: str, options: Mapping[str, str]) -> None:
        """Puts the place of a file where it was asked for before the message.

        Args:
            place: the file, and where in it.
            options: what the file calls the options of ``tfserve run``.
        """
        self.message = f"{place}: {_with_names(self._message, options)}"
        self.hint = None if self._hint is None else _with_names(self._hint, options)

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override, unused-ignore]
        """What Python from 3.11 on shows under the message in a traceback."""
        return [*([self.details] if self.details else ()), *([f"Hint: {self.hint}"] if self.hint else ())]


class UsageError(TfserveError):
    """A bad option, argument or configuration file."""

    exit_code = 2


class SavedModelError(TfserveError):
    """A path that is not a SavedModel which TensorFlow Serving can serve."""

    exit_code = 3


class EngineUnavailableError(TfserveError):
    """No engine to run a server on: Docker is not reachable, or the local runtime is not installed."""

    exit_code = 4
    doctor_knows = True


class ImageError(TfserveError):
    """An image that cannot be had: unknown, refused, for another platform, or too big for the disk."""

    exit_code = 5


class NameTakenError(TfserveError):
    """A server of that name exists already."""

    exit_code = 6


class PortTakenError(TfserveError):
    """A port asked for by number that another program listens on."""

    exit_code = 6


class NotReadyError(TfserveError):
    """A server that did not become ready, or failed its smoke test."""

    exit_code = 7


class RequestError(TfserveError):
    """A request that the server refused, failed, or did not answer."""

    exit_code = 8


class GpuError(TfserveError):
    """A GPU was asked for and cannot be used."""

    exit_code = 9
    doctor_knows = True


class NoSuchServerError(TfserveError):
    """No server of that name."""

    exit_code = 10


class CommandRefusedError(TfserveError):
    """A command that the development container has, and that is no program."""

    exit_code = 126


class CommandNotFoundError(TfserveError):
    """A command that the development container does not have."""

    exit_code = 127


class InterruptError(TfserveError):
    """The user pressed Ctrl-C, or the process was told to end."""

    exit_code = 130


def option(name: str, value: str | None = None) -> str:
    """Names an option of ``tfserve run`` in the message or the hint of an error, which fills it in.

    It is ``--rest-port`` there, or ``rest_port`` where a file was read that calls it so. What a user wrote may look
    like an option too, and stays as it is.
    """
    return f"{_BEGIN}{name if value is None else f'{name} {value}'}{_END}"


@contextmanager
def about(*keys: str | int) -> Iterator[None]:
    """Says of the errors in the block that what they are about is below `keys`."""
    try:
        yield
    except TfserveError as error:
        error.about = (*keys, *error.about)
        raise


def reason(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of errors, in the system's words where it has some."""
    words = str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            words = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return words


def _with_names(text: str, names: Mapping[str, str]) -> str:
    """Fills in each option of a text: as ``names`` call it (``host: ::1``), else as one writes it (``--host ::1``)."""

    def named(match: re.Match[str]) -> str:
        name, value = match.groups()
        shown, separator = (names[name], ": ") if name in names else (name, " ")
        return shown if value is None else f"{shown}{separator}{value}"

    return _OPTION.sub(named, text)
