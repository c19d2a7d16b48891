"""The errors that a user can encounter: each has a message, a hint that explains what to do, and an exit code.

Messages name attributes of a spec, which each front end writes in its own way; see `Wording`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from tfserve.text import indented, one_line, quoted_line

Names = Callable[[str, Any], str]
"""How a front end writes an attribute, alone (value None) or with a value: ``--rest-port``, ``--rest-port 0``."""


class Attribute(NamedTuple):
    """An attribute of a spec, with a value that it has or could have; None for the attribute alone."""

    name: str
    value: Any = None


class Wording:
    """Text that names attributes, each of which a front end writes in its own way.

    ``Wording("Set {rest_port} to another number than {number}.", number=8500)`` becomes ``--rest-port`` on the command
    line, ``rest_port`` in a file and ``rest_port=`` in Python. Values are inserted unchanged, even if text of a user
    looks like a placeholder.

    Args:
        template: the text, with placeholders of `str.format`: each is the name of a value or of an attribute.
        values: what to insert; an `Attribute`, a list of them, or another `Wording` is written as by the front end.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        self.template = template
        self.values = values

    def __call__(self, names: Names) -> str:
        """Returns the text with attributes as `names` writes them."""
        return self.template.format_map(_Inserted(self.values, names))

    def __str__(self) -> str:
        return self(python_names)


class _Inserted(dict[str, object]):
    def __init__(self, values: dict[str, object], names: Names) -> None:
        super().__init__((name, _inserted(value, names)) for name, value in values.items())
        self.names = names

    def __missing__(self, name: str) -> str:
        return self.names(name, None)


def _inserted(value: object, names: Names) -> object:
    if isinstance(value, Attribute):
        return names(*value)
    if isinstance(value, list):
        return ", ".join(names(*each) for each in value)
    if isinstance(value, Wording):
        return value(names)
    return value


def python_names(attribute: str, value: Any) -> str:
    """Writes attributes as arguments of `tfserve.serve`: ``rest_port=``, or ``rest_port=0``."""
    name = "model" if attribute == "models" else attribute
    return f"{name}=" if value is None else f"{name}={value!r}"


class TfserveError(Exception):
    """Base of all errors that are shown to a user without a traceback.

    Args:
        message: one sentence that describes the problem; a `Wording` if it names attributes.
        hint: a sentence, or a few lines, that explain what to do; with attributes as in the message.
        details: lines to show unchanged between message and hint, such as the end of a server's log.
        doctor: whether ``tfserve doctor`` checks for the cause, so that the hint should refer to it; None for the
            default of the class.
        about: the part of a spec that the error is about: an attribute, followed by keys and indices within it, such
            as ``("models", 0, "labels", "stable")``. The place in a file is found by it.

    Attributes:
        attribute: the attribute whose value is not valid, which a front end writes before the message; None if the
            message names it, or if the error is about something else.
    """

    exit_code: ClassVar[int] = 1
    doctor_knows: ClassVar[bool] = False
    located = False  # whether the message begins with a place in a file

    def __init__(
        self,
        message: str | Wording,
        *,
        hint: str | Wording | None = None,
        details: str | None = None,
        doctor: bool | None = None,
        about: Sequence[str | int] = (),
    ) -> None:
        super().__init__(str(message))
        self.wording = message
        self.hint_wording = hint
        self.details = details
        self.doctor = self.doctor_knows if doctor is None else doctor
        self.about = tuple(about)
        self.attribute: str | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """The message in one line, with attributes written as in Python unless `reword` was called.

        Text of users, files and servers in it is escaped, so that it cannot look like another message or a hint.
        """
        return self._written(python_names)

    @property
    def hint(self) -> str | None:
        """The hint, with attributes as in the message."""
        return None if self.hint_wording is None else str(self.hint_wording)

    def add_hint(self, more: str | Wording) -> None:
        """Appends text to the hint."""
        self.hint_wording = more if self.hint_wording is None else Wording("{a}{b}", a=self.hint_wording, b=more)

    def reword(self, names: Names, place: str | None = None) -> None:
        """Writes the attributes in message and hint with `names`; later calls do not change them again.

        Args:
            names: how to write attributes.
            place: the place in a file, to put before the message; None for none.
        """
        if place is not None:
            self.attribute = None  # the place names it
        message = self._written(names)
        self.wording, self.attribute = message if place is None else f"{place}: {message}", None
        self.hint_wording = self.hint_wording(names) if isinstance(self.hint_wording, Wording) else self.hint_wording

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Changes the text of message, hint and details; to be called after `reword`."""
        self.wording = change(str(self.wording))
        self.hint_wording = None if self.hint_wording is None else change(str(self.hint_wording))
        self.details = None if self.details is None else change(self.details)

    def _written(self, names: Names) -> str:
        message = one_line(self.wording(names) if isinstance(self.wording, Wording) else self.wording)
        return message if self.attribute is None else f"{names(self.attribute, None)}: {message}"

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override, unused-ignore]
        """The lines that Python 3.11 and later show below the message in a traceback."""
        details = ["\n".join(map(quoted_line, self.details.split("\n")))] if self.details else ()
        return [*details, *([f"Hint: {indented(self.hint, '      ')}"] if self.hint else ())]


class SkippedWarning(UserWarning):
    """Something that other users of an engine can change was skipped, because tfserve does not understand it."""


class UsageError(TfserveError):
    """An option, argument or configuration file is not valid."""

    exit_code = 2


class SavedModelError(TfserveError):
    """A path is not a SavedModel that TensorFlow Serving can serve."""

    exit_code = 3


class EngineUnavailableError(TfserveError):
    """No engine can run servers: Docker is not reachable, or the local runtime is not installed."""

    exit_code = 4
    doctor_knows = True


class NotPrivateError(TfserveError):
    """A directory or file of tfserve belongs to another user, or can be changed by one."""

    exit_code = 4


class ImageError(TfserveError):
    """An image cannot be obtained: it is unknown, access is denied, it is for another platform, or the disk is full."""

    exit_code = 5


class NameTakenError(TfserveError):
    """A server with the same name already exists."""

    exit_code = 6


class PortTakenError(TfserveError):
    """Another process listens on a port that was requested by number."""

    exit_code = 6


class NotReadyError(TfserveError):
    """A server did not become ready, or failed its test request."""

    exit_code = 7


class RequestError(TfserveError):
    """A request was rejected, failed, or received no response."""

    exit_code = 8


class GpuError(TfserveError):
    """A GPU was required, but cannot be used."""

    exit_code = 9
    doctor_knows = True


class NoSuchServerError(TfserveError):
    """There is no server with the name."""

    exit_code = 10


class CommandRefusedError(TfserveError):
    """A command for the development container exists there, but is not executable."""

    exit_code = 126


class CommandNotFoundError(TfserveError):
    """A command for the development container does not exist there."""

    exit_code = 127


class InterruptError(TfserveError):
    """The user pressed Ctrl-C."""

    exit_code = 130


@contextmanager
def located(locate: Callable[[TfserveError], None]) -> Iterator[None]:
    """Calls `locate` for an error in the block, to add where in a file its cause is."""
    try:
        yield
    except TfserveError as error:
        locate(error)
        raise


@contextmanager
def about(*keys: str | int) -> Iterator[None]:
    """Prepends `keys` to what the errors in the block are about."""
    try:
        yield
    except TfserveError as error:
        error.about = (*keys, *error.about)
        raise


def reason(error: BaseException) -> str:
    """Returns the root cause of a chain of errors: the last message of the operating system, or `error` itself."""
    text = str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            text = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return text


def is_caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error of this `kind` caused `error`, which the libraries in between wrap in errors of their own."""
    seen: dict[int, BaseException] = {}
    pending: list[object] = [error]
    while pending:
        cause = pending.pop()
        if isinstance(cause, kind):
            return True
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen[id(cause)] = cause
            pending += (cause.__cause__, cause.__context__, *cause.args)
    return False
