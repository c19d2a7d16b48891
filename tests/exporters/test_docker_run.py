from __future__ import annotations

import csv
import io
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfserve.exporters.docker_run import docker_run
from tfserve.plan.launch_plan import LaunchPlan, Mount, PublishedPort

NASTY = [
    "a b",
    "it's",
    'say "hi"',
    "$(touch pwned)",
    "`touch pwned`",
    "line\nbreak",
    "tab\tand return\r",
    "back\\slash\\n",
    "a,b=c",
    "模型 ä",
    "* ? [x] {a,b} ~ # ! & | ; < >",
    "escape \x1b[31m bell \x07",
    "zero\u200bwidth, joined \U0001f469\u200d\U0001f4bb",
    "\udcff is not UTF-8",
    "'",
    "\\'",
    "",
]
PLAN = LaunchPlan(
    name="prod",
    models=("m",),
    mounts=(Mount("/data/m", "/models/m"),),
    rest=PublishedPort(8501, "127.0.0.1", 9001),
    grpc=PublishedPort(8500, "127.0.0.1", 0),
    environment={"MODEL_NAME": "m"},
    command=("--enable_batching=true",),
    image="tensorflow/serving:latest",
    init=True,
    dropped_capabilities=("ALL",),
)
shell_text = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30)


def words_in_bash(line: str, directory: Path) -> list[str]:
    """Returns the words of `line` as bash parses them."""
    first, rest = line.split(" ", 1)
    script = f"printf '%s\\0' {rest}"
    done = subprocess.run(
        ["bash", "-c", script.encode("utf-8", "surrogateescape")], capture_output=True, check=True, cwd=directory
    )
    assert done.stderr == b""
    return [first, *done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]]


def test_complete_line() -> None:
    assert shlex.split(docker_run(PLAN)) == [
        "docker",
        "run",
        "--detach",
        "--name=tfserve-prod",
        "--publish=127.0.0.1::8500",
        "--publish=127.0.0.1:9001:8501",
        "--mount=type=bind,source=/data/m,target=/models/m,readonly",
        "--env=MODEL_NAME=m",
        "--init",
        "--cap-drop=ALL",
        "tensorflow/serving:latest",
        "--enable_batching=true",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "1:2"}, ["--user=1:2"]),
        ({"platform": "linux/amd64"}, ["--platform=linux/amd64"]),
        ({"memory": 2**30}, ["--memory=1073741824"]),
        ({"cpus": 1.5}, ["--cpus=1.5"]),
        ({"restart": "always"}, ["--restart=always"]),
        ({"runtime": "nvidia"}, ["--runtime=nvidia"]),
        ({"gpus": "all"}, ["--gpus=all"]),
        ({"gpus": "device=0,2"}, ['--gpus="device=0,2"']),  # docker reads the value as CSV
        ({"remove": True}, ["--rm"]),
        ({"labels": {"a": "b c"}}, ["--label=a=b c"]),
        ({"security_options": ("x", "y=z")}, ["--security-opt=x", "--security-opt=y=z"]),
        ({"rest": PublishedPort(8501, "::1", 9001)}, ["--publish=[::1]:9001:8501"]),
    ],
)
def test_options(changes: dict[str, Any], words: list[str]) -> None:
    made = shlex.split(docker_run(replace(PLAN, **changes)))
    image = made.index("tensorflow/serving:latest")
    plain_words = shlex.split(docker_run(PLAN))
    assert [word for word in made[:image] if word not in plain_words] == words


def test_no_ports() -> None:
    assert "--publish" not in docker_run(replace(PLAN, rest=None, grpc=None))


def test_bash_does_not_interpret_values(tmp_path: Path) -> None:
    made = replace(
        PLAN,
        mounts=tuple(Mount(f"/data/{text}", "/models/m") for text in NASTY),
        environment=dict(zip(map("V{}".format, range(len(NASTY))), NASTY, strict=True)),
        command=tuple(NASTY),
    )
    line = docker_run(made)
    words = words_in_bash(line, tmp_path)
    mounts = [word.removeprefix("--mount=") for word in words if word.startswith("--mount=")]
    fields = [list(csv.reader(io.StringIO(mount, newline=""))) for mount in mounts]
    assert fields == [[["type=bind", f"source=/data/{text}", "target=/models/m", "readonly"]] for text in NASTY]
    assert [word for word in words if word.startswith("--env=")] == [
        f"--env=V{n}={text}" for n, text in enumerate(NASTY)
    ]
    assert words[-len(NASTY) :] == NASTY
    assert list(tmp_path.iterdir()) == []


def test_line_is_printable() -> None:
    line = docker_run(replace(PLAN, command=tuple(NASTY)))
    assert line.isprintable()


@settings(max_examples=40)
@given(st.lists(shell_text, max_size=8))
def test_bash_does_not_interpret_any_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    line = docker_run(replace(PLAN, command=("--", *texts)))
    words = words_in_bash(line, tmp_path_factory.getbasetemp())
    assert words[words.index("--") + 1 :] == texts
    assert line.isprintable()


def test_plan_without_an_image() -> None:
    with pytest.raises(ValueError):
        docker_run(replace(PLAN, image=None))
