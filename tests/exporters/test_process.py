from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.exporters.test_docker_run import NASTY, PLAN
from tfserve.exporters.process import process_line
from tfserve.plan.launch_plan import Mount


def test_bash_runs_the_line(tmp_path: Path) -> None:
    """The model is linked, the variables are set, and the program gets its arguments."""
    model = tmp_path / "the model's $(touch pwned)"
    model.mkdir()
    target = tmp_path / "state dir" / "models" / "m"
    texts = [text for text in NASTY if text]
    made = replace(
        PLAN,
        image=None,
        mounts=(Mount(str(model), str(target)),),
        files={str(target.parent / "it's a file"): "".join(texts)},
        environment={f"V{number}": text for number, text in enumerate(texts)},
        command=("sh", "-c", 'printf "%s\\0" "$@"; printenv -0 | grep -az ^V', "sh", *NASTY),
    )
    line = process_line(made)
    assert line.isprintable()
    done = subprocess.run(
        ["bash", "-c", line.encode("utf-8", "surrogateescape")], capture_output=True, check=True, cwd=tmp_path
    )
    words = done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
    assert words[: len(NASTY)] == NASTY
    assert sorted(word for word in words[len(NASTY) :] if word[1].isdigit()) == sorted(
        f"V{n}={text}" for n, text in enumerate(texts)
    )
    assert target.resolve() == model
    written = (target.parent / "it's a file").read_bytes().decode("utf-8", "surrogateescape")
    assert written == "".join(texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([model.name, "state dir"])
