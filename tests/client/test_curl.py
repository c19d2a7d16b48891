from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tfserve.client.curl import curl_line

from .faulty_server import responding_json

BODIES = [
    b'{"instances":[1,2,5]}',
    b'{"inputs":"it\'s $(touch pwned) `touch pwned` !! \\\\n $HOME \\"q\\" %s %d"}',
    '{\n\t"inputs": "ü — 漢"\n}\n'.encode(),
    b"@/etc/passwd",
    b"-d x",
    b"",
    b'{"inputs":"\xff"}',
    json.dumps({"instances": [0.5] * 60_000}).encode(),  # longer than an argument can be
    b"'" * 150_000,
]


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_pasted_line_sends_the_same_request(shell: str, body: bytes, tmp_path: Path) -> None:
    assert shutil.which("curl"), "curl is needed"
    with responding_json(b'{"predictions": [1]}') as server:
        line = curl_line(f"{server.url}/v1/models/a%20b:predict", body)
        done = subprocess.run(
            [shell], input=line.encode("utf-8", "surrogateescape") + b"\n", capture_output=True, cwd=tmp_path
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b'{"predictions": [1]}', b"")
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert sent == body
    assert head.startswith(b"POST /v1/models/a%20b:predict ")
    assert b"Content-Type: application/json" in head
    assert list(tmp_path.iterdir()) == []


def test_line_for_the_guide_is_short() -> None:
    line = curl_line("http://127.0.0.1:8501/v1/models/half_plus_two:predict", b'{"instances":[1,2,5]}')
    assert line == (
        "curl --silent --show-error --header 'Content-Type: application/json' "
        """--data-raw '{"instances":[1,2,5]}' http://127.0.0.1:8501/v1/models/half_plus_two:predict"""
    )


def test_brackets_of_an_ipv6_address_are_not_expanded() -> None:
    assert " --globoff " in curl_line("http://[::1]:8501/v1/models/m:predict", b"{}")


def test_line_works_with_a_real_server(server_url: str) -> None:
    line = curl_line(f"{server_url}/v1/models/half_plus_two:predict", b'{"instances":[1,2,5]}')
    done = subprocess.run(["bash"], input=line, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"predictions": [2.5, 3.0, 4.5]}
