"""Every error a user can meet: what is wrong in one sentence, what to do about it in another, and an exit code.

A message names attributes of what was asked for; a front end says how it calls them. See `Wording`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

Names = Callable[[str, Any], str]
"""How a front end writes an attribute, alone (its value is None) or with one: ``--rest-port``, ``--rest-port 0``."""


class Attribute(NamedTuple):
    """An attribute of what was asked for, and the value that it has or should get; None for the attribute alone."""

    name: str
    value: Any = None


class Wording:
    """Text that names attributes, each of which a front end writes in its own way.

    ``Wording("Give {rest_port} another number than {number}.", number=8500)`` speaks of ``--rest-port`` on the command
    line, of ``rest_port:`` in a file and of ``rest_port=`` in Python. Values are inserted unchanged, so that text of a
    user which looks like a placeholder stays what it is.

    Args:
        template: the text, with placeholders as `str.format` has them: a value's name, or an attribute's.
        values: what to insert. An `Attribute`, a list of them, or another `Wording` is written as the front end does.
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
    """Writes attributes as a caller in Python does: ``rest_port=``, or ``rest_port=0``."""
    return f"{attribute}=" if value is None else f"{attribute}={value!r}"


class TfserveError(Exception):
    """Base of all errors that are shown to a user without a traceback.

    Args:
        message: one sentence that says what is wrong; a `Wording` where it names attributes.
        hint: one sentence, or a few lines, that say what to do about it; likewise.
        details: lines shown unchanged between the two, such as the end of a server's log.
        doctor: whether ``tfserve doctor`` looks at the cause, so that a user's hint ends in it; None for what is usual
            for this kind of error.
        about: which part of what was asked for it is about: an attribute of a spec, and keys and indices below it, such
            as ``("models", 0, "labels", "stable")``. Whoever read that from a file finds the place by it.
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

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """What is wrong, in the words of a caller in Python unless `reword` was called."""
        return str(self.wording)

    @property
    def hint(self) -> str | None:
        """What to do about it, likewise."""
        return None if self.hint_wording is None else str(self.hint_wording)

    def add_hint(self, more: str | Wording) -> None:
        """Adds text to the end of the hint."""
        self.hint_wording = more if self.hint_wording is None else Wording("{a}{b}", a=self.hint_wording, b=more)

    def reword(self, names: Names, place: str | None = None) -> None:
        """Settles how the attributes are written; once settled, other names change nothing.

        Args:
            names: how to write them.
            place: where in a file the cause is, which then begins the message.
        """
        message = self.wording(names) if isinstance(self.wording, Wording) else self.wording
        self.wording = message if place is None else f"{place}: {message}"
        self.hint_wording = self.hint_wording(names) if isinstance(self.hint_wording, Wording) else self.hint_wording

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
