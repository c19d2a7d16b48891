"""One field of a server, as a row of the table in `tfserve.spec.fields`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tfserve.spec.field_types import FieldType

__all__ = ["Argument", "Field"]

Argument = Literal["value", "values", "flag", "switch", "value or off"]


@dataclass(frozen=True)
class Field:
    """One field of a server.

    Attributes:
        attribute: the attribute of `ServeSpec` or, with `launch`, of `LaunchOptions`.
        group: the heading of its option in ``tfserve run --help``; one of `GROUPS`.
        type: how its value is parsed, written and described.
        help: its description, in one line.
        metavar: the placeholder of its value in the help.
        argument: how the command line accepts it: as one value, repeated values, a flag, a flag with an opposite, or a
            value with a separate flag that turns the feature off.
        option: its option; empty for ``--`` and the attribute.
        short: its one-letter option; empty for none.
        off_help: the description of the flag that turns it off, for an argument that is a value or off.
        key: its key in a file; empty for the attribute, None if files cannot set it.
        launch: whether it describes how the server is started, rather than the server.
        shared: whether a file may set it for all of its servers.
        example: a value for the comment in a new file.
        default: its default, as the help of the command line shows it.
        python: whether `tfserve.serve` accepts it.
    """

    attribute: str
    group: str
    type: FieldType
    help: str
    metavar: str = ""
    argument: Argument = "value"
    option: str = ""
    short: str = ""
    off_help: str = ""
    key: str | None = ""
    launch: bool = False
    shared: bool = True
    example: str = ""
    default: str = ""
    python: bool = True

    @property
    def name(self) -> str:
        """Its key in a file, or its attribute if files cannot set it."""
        return self.key or self.attribute

    @property
    def option_name(self) -> str:
        """Its option, such as ``--rest-port``."""
        return self.option or f"--{self.attribute.replace('_', '-')}"

    @property
    def off_option(self) -> str:
        """The option that turns it off; empty if there is none."""
        return f"--no-{self.option_name[2:]}" if self.argument in ("switch", "value or off") else ""
