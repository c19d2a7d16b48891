"""The options and arguments that several commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tfserve.cli.completion import complete_configured, complete_server, complete_server_flag, complete_signature
from tfserve.defaults import AUTO, Api, EngineChoice, engine_names

__all__ = [
    "AnyEngineOption",
    "ApiOption",
    "ConfiguredNames",
    "CurlOption",
    "EngineOption",
    "FileOption",
    "GpuOption",
    "JsonOption",
    "LabelOption",
    "LabelsOption",
    "ModelArgument",
    "ModelWords",
    "NewFileOption",
    "OptionalName",
    "OptionalNames",
    "Sha256Option",
    "Sha256sOption",
    "SignatureOption",
    "TimeOption",
    "TimeoutOption",
    "UrlOption",
    "VersionOption",
    "VersionsOption",
    "WaitOption",
]

if TYPE_CHECKING:
    _Engine = EngineChoice
else:  # Typer reads the choices from the type
    _Engine = Literal[(AUTO, *engine_names())]
EngineOption = Annotated[
    _Engine,
    typer.Option("--engine", help="Engine that runs the server; auto selects the first one available."),
]
AnyEngineOption = Annotated[
    _Engine,
    typer.Option("--engine", help="Engine of the servers; auto includes all engines."),
]
ConfiguredNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Servers of the file.  [default: all]", autocompletion=complete_configured
    ),
]
NewFileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="File to create; - for standard output.  [default: tfserve.yaml]"
    ),
]
FileOption = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="YAML file; - for standard input.  [default: tfserve.yaml]"),
]
GpuOption = Annotated[
    bool | None,
    typer.Option(
        "--gpu/--no-gpu", help="Require a GPU, or serve on the CPU.  [default: use a GPU if one is available]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="[MODEL:]LABEL=VERSION",
        help="Label of a version; repeatable.",
        rich_help_panel="Versions",
    ),
]
VersionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--versions",
        metavar="[MODEL:]VERSIONS",
        help="Versions to serve: latest, latest=2, all, or 1,3; repeatable.  [default: latest]",
        rich_help_panel="Versions",
    ),
]
_MODEL_HELP = (
    "A directory of versions, one version, or a SavedModel; or an archive of one (.tar.gz, .tgz, .tar, .zip), as a "
    "file or an https:// address"
)
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL_DIR", help=f"{_MODEL_HELP}.")]
ModelWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL_DIR[=NAME]]... [-- SERVER_FLAGS]",
        help=f"{_MODEL_HELP}; or a base path in a bucket (s3://, gs://); omit it for an --image with models inside. "
        "After --, flags for tensorflow_model_server as --name=value (tfserve flags).",
        autocompletion=complete_server_flag,
    ),
]
OptionalName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="Name of the server. Optional if there is only one.", autocompletion=complete_server
    ),
]
OptionalNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Names of the servers. Optional if there is only one.", autocompletion=complete_server
    ),
]
Sha256Option = Annotated[
    str | None, typer.Option("--sha256", metavar="DIGEST", help="Expected SHA-256 digest of the archive.")
]
Sha256sOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sha256",
        metavar="[MODEL:]DIGEST",
        help="Expected SHA-256 digest of an archive; repeatable.",
        rich_help_panel="Model",
    ),
]
TimeOption = Annotated[
    float, typer.Option("--time", "-t", metavar="SECONDS", min=0, help="Seconds to wait before killing the server.")
]
WaitOption = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, help="Seconds to wait for the server to be ready; 0 to return immediately."
    ),
]

UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="URL of a server that tfserve did not start: http://HOST:PORT."),
]
ApiOption = Annotated[Api, typer.Option("--api", help="API to use; gRPC requires the extra tfserve-cli[local].")]
VersionOption = Annotated[int | None, typer.Option("--version", min=0, help="Version to use.  [default: newest]")]
LabelOption = Annotated[str | None, typer.Option("--label", help="Use the version with this label.")]
SignatureOption = Annotated[
    str | None,
    typer.Option(
        "--signature",
        "-s",
        help="Signature to call.  [default: serving_default]",
        autocompletion=complete_signature,
    ),
]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Seconds to wait for the response.")]
CurlOption = Annotated[bool, typer.Option("--curl", help="Print the equivalent curl command, and send nothing.")]
