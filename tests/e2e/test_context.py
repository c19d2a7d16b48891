"""tfserve uses the engine that the docker command would use: its current context, not only DOCKER_HOST."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from .bring_up import Engine
from .conftest import Tfserve


def docker_config(directory: Path, host: str) -> Path:
    """A configuration of the docker command with a context "here" for `host`, and one "nowhere"."""
    for name, endpoint in (("here", host), ("nowhere", f"unix://{directory}/no.sock")):
        meta = directory / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        meta.mkdir(parents=True)
        described = {"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": endpoint, "SkipTLSVerify": False}}}
        (meta / "meta.json").write_text(json.dumps(described))
    (directory / "config.json").write_text(json.dumps({"currentContext": "here"}))
    return directory


def test_the_current_context_is_used(engine: Engine, tfserve: Tfserve, tmp_path: Path) -> None:
    config = {"DOCKER_HOST": "", "DOCKER_CONFIG": str(docker_config(tmp_path / "docker", engine.host))}
    assert tfserve("ps", "--engine", "docker", env=config).returncode == 0
    elsewhere = tfserve("ps", "--engine", "docker", env={**config, "DOCKER_CONTEXT": "nowhere"})
    assert elsewhere.returncode == 4
    assert tfserve("ps", "--engine", "docker", env={**config, "DOCKER_CONTEXT": "unknown"}).returncode == 4
    here = {**config, "DOCKER_CONTEXT": "nowhere", "DOCKER_HOST": engine.host}
    assert tfserve("ps", "--engine", "docker", env=here).returncode == 0


def test_a_socket_that_this_user_may_not_use(tfserve: Tfserve, tmp_path: Path) -> None:
    """Root may use any socket unless it drops that capability; other users are refused."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0)
        command = [sys.executable, "-m", "tfserve", "ps", "--engine", "docker"]
        if os.getuid() == 0:
            setpriv = shutil.which("setpriv")
            assert setpriv, "util-linux is part of every Debian"
            command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
            os.chown(path, 1234, 1234)
        environment = {**tfserve.environment, "DOCKER_HOST": f"unix://{path}"}
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 4, refused.stderr
    assert "may not use the Docker Engine" in refused.stderr
    assert "usermod" in refused.stderr
    assert "--engine local" not in refused.stderr  # which would not help: ps was limited to Docker
