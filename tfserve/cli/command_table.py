"""The table of commands: where each is defined, and its text in the help, in completion and in the reference.

A new command is one entry here. The module imports no command, so that the list of commands is shown without delay.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "TASKS", "Command"]


class Command(NamedTuple):
    """A command of the command line.

    Attributes:
        module: the module of `tfserve.cli.commands` that defines it.
        function: its name there.
        summary: the first sentence of its docstring.
        examples: two or more command lines.
        takes_negative_numbers: whether a word that begins with ``-`` may be a value.
    """

    module: str
    function: str
    summary: str
    examples: tuple[str, ...]
    takes_negative_numbers: bool = False


TASKS: dict[str, dict[str, Command]] = {
    "Serve a model": {
        "demo": Command(
            "demo",
            "demo",
            "Serve an example model, send it a request, clean up.",
            ("tfserve demo", "tfserve demo --engine local"),
        ),
        "run": Command(
            "run",
            "run",
            "Start a server for SavedModels, and test it.",
            (
                "tfserve run ./my_model",
                "tfserve run ./a ./b=other --versions a:latest=2 --label a:canary=2 -- --enable_batching=true",
            ),
        ),
        "up": Command(
            "up",
            "up",
            "Start the servers of a YAML file.",
            ("tfserve up", "tfserve up -f servers.yaml prod --dry-run"),
        ),
        "down": Command(
            "up",
            "down",
            "Stop and remove the servers of a YAML file.",
            ("tfserve down", "tfserve down prod --time 30"),
        ),
    },
    "Send requests": {
        "predict": Command(
            "predict",
            "predict",
            "Send a predict request.",
            ("tfserve predict half_plus_two 1 2 5", "tfserve predict my_model --input age=31 --input name=Ada --json"),
            takes_negative_numbers=True,
        ),
        "classify": Command(
            "classify",
            "classify",
            "Send a classify request.",
            (
                "tfserve classify half_plus_two x=1.0 x=2.0",
                "tfserve classify my_model --data examples.csv --context country=FI --json",
            ),
            takes_negative_numbers=True,
        ),
        "regress": Command(
            "classify",
            "regress",
            "Send a regress request.",
            (
                "tfserve regress half_plus_two x=1.0 --signature regress_x_to_y",
                'tfserve regress my_model \'{"age": 31.0, "name": "Ada"}\'',
            ),
            takes_negative_numbers=True,
        ),
        "metadata": Command(
            "metadata",
            "metadata",
            "Show the signatures of a model.",
            ("tfserve metadata my_model", "tfserve metadata my_model --url http://127.0.0.1:8501"),
        ),
    },
    "Manage servers": {
        "ps": Command("servers", "ps", "List the servers, running and stopped.", ("tfserve ps", "tfserve ps --json")),
        "status": Command(
            "servers",
            "status",
            "Show the state of one server.",
            ("tfserve status my_model", "tfserve status my_model --json"),
        ),
        "models": Command(
            "models",
            "models",
            "Show or change what a server serves.",
            ("tfserve models prod", "tfserve models prod label my_model canary=2"),
        ),
        "logs": Command(
            "logs",
            "logs",
            "Show the log of a server, running or stopped.",
            ("tfserve logs my_model --tail 20", "tfserve logs my_model -f --since 10m"),
        ),
        "stop": Command("lifecycle", "stop", "Stop servers.", ("tfserve stop my_model", "tfserve stop a b --time 30")),
        "start": Command(
            "lifecycle",
            "start",
            "Start stopped servers again.",
            ("tfserve start my_model", "tfserve start my_model --wait 0"),
        ),
        "restart": Command(
            "lifecycle",
            "restart",
            "Stop servers and start them again.",
            ("tfserve restart my_model", "tfserve restart my_model --time 30"),
        ),
        "rm": Command(
            "lifecycle",
            "remove",
            "Remove servers, with their logs.",
            ("tfserve rm my_model", "tfserve rm --force my_model"),
        ),
    },
    "Files and flags": {
        "init": Command(
            "config",
            "init",
            "Create a YAML file for one model.",
            ("tfserve init ./my_model", "tfserve init ./my_model -f servers.yaml"),
        ),
        "config": Command(
            "config",
            "config",
            "Show a YAML file with defaults and variables resolved.",
            ("tfserve config", "tfserve config -f servers.yaml --json"),
        ),
        "schema": Command(
            "config",
            "schema",
            "Print the JSON Schema of the YAML file.",
            ("tfserve schema", "tfserve schema > tfserve.schema.json"),
        ),
        "flags": Command(
            "flags",
            "flags",
            "List the flags of the model server.",
            ("tfserve flags", "tfserve flags batching"),
        ),
    },
    "Models and images": {
        "inspect": Command(
            "inspect",
            "inspect",
            "Show what is in a SavedModel.",
            ("tfserve inspect ./my_model", "tfserve inspect ./my_model/3 --json"),
        ),
        "cache": Command(
            "cache",
            "cache",
            "List or clear the models unpacked from archives.",
            ("tfserve cache", "tfserve cache clear 3f9a61"),
        ),
        "pull": Command(
            "pull", "pull", "Pull the official serving image.", ("tfserve pull", "tfserve pull --tag 2.19.1 --gpu")
        ),
        "images": Command(
            "images", "images", "List the serving images on this engine.", ("tfserve images", "tfserve images --remote")
        ),
        "package": Command(
            "package",
            "package",
            "Create a serving image with models inside.",
            (
                "tfserve package ./my_model --image me/my_model:1",
                "tfserve package ./a ./b --image registry.example.com/models:2 --gpu --push",
            ),
        ),
        "devel": Command(
            "devel",
            "devel",
            "Work in a development container.",
            ("tfserve devel --source ./serving", "tfserve devel -- bazel version"),
        ),
        "build": Command(
            "build",
            "build",
            "Build a serving image from source.",
            (
                "tfserve build --source ./serving --image me/serving:1",
                "tfserve build --source ./serving --image me/serving:1 --build-option=--copt=-march=native --ram 2048",
            ),
        ),
    },
    "This machine": {
        "doctor": Command(
            "doctor",
            "doctor",
            "Check whether this machine is ready to serve models.",
            ("tfserve doctor", "tfserve doctor --json"),
        ),
    },
    "Help": {
        "help": Command(
            "help",
            "show_help",
            "Show the help of a command, or a topic.",
            ("tfserve help run", "tfserve help tfserve-yaml"),
        ),
    },
}
"""The commands by task, in the order of the help."""

COMMANDS = {name: command for commands in TASKS.values() for name, command in commands.items()}
