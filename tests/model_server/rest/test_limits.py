"""What clients send to exhaust a server: it refuses it, answers others meanwhile, and gives the memory back."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.model_server.server_process import PATIENCE, ServerProcess
from tests.program import eventually
from tfserve.model_server.rest.limits import INLINE_BYTES, LIGHT_BYTES

BODY = b'{"instances": [1]}'
HEAD = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: localhost\r\n"
ANSWER = b'{\n    "predictions": [2.5\n    ]\n}'
VALUES = 3_000_000
MEMORY = 40 << 20


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory, half_plus_two: Path) -> Iterator[ServerProcess]:
    """A server with small limits."""
    log = tmp_path_factory.mktemp("limited") / "log"
    flags = (
        *(f"--rest_api_max_json_values={VALUES}", "--rest_api_max_json_depth=50", "--rest_api_max_body_bytes=30000000"),
        *("--rest_api_max_gzip_ratio=2", f"--rest_api_max_parse_memory_bytes={MEMORY}", "--rest_api_max_headers=20"),
        *("--rest_api_max_header_bytes=5000", "--rest_api_max_inflight_body_bytes=50000000"),
        "--rest_api_allowed_hosts=models.example",
    )
    with ServerProcess(log, half_plus_two, *flags) as process:
        yield process.wait_until_ready()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def parsers(process: ServerProcess) -> list[int]:
    (parent,) = children(process.process.pid)
    return children(parent)


def refusal(process: ServerProcess, body: bytes, path: str = ":predict", **headers: str) -> tuple[int, str]:
    answer = requests.post(process.url + path, body, headers=headers, timeout=PATIENCE)
    return answer.status_code, answer.json()["error"]


def numbers(count: int) -> bytes:
    return b'{"instances": [' + b"1," * (count - 1) + b"1]}"


@pytest.mark.parametrize("size", [INLINE_BYTES + 10, LIGHT_BYTES - 100, LIGHT_BYTES + 100])
def test_bodies_of_every_size_get_the_same_answer(limited: ServerProcess, size: int) -> None:
    count = size // 100
    body = (b'{"instances": [' + b"%98s, " % b"1.0" * (count - 1) + b"1]}").ljust(size)
    plain = limited.predict(body)
    assert plain.content.count(b"2.5") == count
    packed = requests.post(f"{limited.url}:predict", gzip.compress(body), headers={"Content-Encoding": "gzip"})
    chunked = requests.post(
        f"{limited.url}:predict", (body[start : start + 100_000] for start in range(0, size, 100_000))
    )
    assert packed.content == chunked.content == plain.content


def test_all_types_are_parsed_by_other_processes(zoo_server: ServerProcess) -> None:
    for dtype, value in (
        ("float32", 0.5),
        ("float64", 1e-300),
        ("bfloat16", -2.0),
        ("int8", -128),
        ("uint64", 2**64 - 1),
        ("bool", True),
        ("string", 'a"é'),
    ):
        values = [[value, value]] * 8_000
        body = {"signature_name": f"echo_{dtype}", "inputs": values}
        assert json.loads(zoo_server.predict(body).text)["outputs"] == values, dtype
    body = {"signature_name": "echo_float32", "inputs": [[]] * 20_000}
    assert zoo_server.predict(body).json()["outputs"] == body["inputs"]


def test_errors_of_large_bodies_are_those_of_small_ones(limited: ServerProcess) -> None:
    space = b" " * INLINE_BYTES
    for body in (
        b"{",
        b'{"instances": ["a"]}',
        b'{"instances": [1], "signature_name": "no"}',
        b"[1]",
        b'{"inputs": {}}',
    ):
        small, large = limited.predict(body), limited.predict(body + space)
        assert (small.status_code, small.content) == (
            large.status_code,
            large.content,
        ) or b"JSON Parse" in small.content
    examples = {"examples": [{"x": 1.0}] * 10_000, "signature_name": "classify_x_to_y"}
    assert limited.predict(examples, ":classify").json()["results"][-1] == [["", 2.5]]
    broken = b'{"instances": [{"%b": 1}]}'
    messages = [refusal(limited, broken % (b"a" * size))[1] for size in (INLINE_BYTES - 100, INLINE_BYTES + 100)]
    for message, size in zip(messages, (INLINE_BYTES - 100, INLINE_BYTES + 100), strict=True):
        assert message.startswith("Failed to process element: 0 key: aaaa")
        assert size < int(message.rpartition("… (")[2].removesuffix(" characters)"))
    broken = json.dumps(examples | {"context": 1}).encode()
    assert refusal(limited, broken, ":classify") == (400, "Example must be JSON object but got JSON Number")


@pytest.mark.parametrize(
    ("body", "packed", "status", "message"),
    [
        (b'{"instances": [' + b"[]," * VALUES + b"1]}", False, 400, "--rest_api_max_json_values"),
        (b'{"instances": [' + b'"",' * (VALUES // 4) + b"1]}", False, 400, "--rest_api_max_json_values"),
        (b'{"instances": [' + b"{}," * (VALUES // 2) + b"1]}", False, 400, "--rest_api_max_json_values"),
        (b'{"instances": [' + b"[]," * 5_000_000 + b"1]}", True, 400, "--rest_api_max_json_values"),
        (b'{"instances": [[' + b"[]," * 1_400_000 + b"1]]}", False, 429, "--rest_api_max_parse_memory_bytes"),
        (b'{"instances": [{"' + b"a" * 20_000_000 + b'": 1}]}', False, 429, "--rest_api_max_parse_memory_bytes"),
        (b'{"instances": ' + b"[" * 51 + b"1" + b"]" * 51 + b"}", False, 400, "--rest_api_max_json_depth"),
        (b'{"instances": ' + b"[" * 5_000_000, False, 400, "--rest_api_max_json_depth"),
        (b'{"instances": ' + b'{"a":' * 100_000, True, 400, "--rest_api_max_json_depth"),
        (b" " * 30_000_001, False, 413, "30000000 bytes"),
        (b" " * 30_000_001, True, 413, "--rest_api_max_body_bytes"),
        (b'{"instances": [' + b"[1.2345678901]," * 1_400_000 + b"[1]}", False, 400, "JSON Parse error"),
        (b'{"instances": [' + b"1.25," * 1_400_000 + b"x]}", False, 400, "JSON Parse error: Expecting value"),
        (b'{"instances": [{"' + b"a" * 100_000 + b'": 1}]}', False, 400, "Failed to process element: 0 key: aaaa"),
    ],
)
def test_a_hostile_body_is_refused(
    limited: ServerProcess, body: bytes, packed: bool, status: int, message: str
) -> None:
    headers = {"Content-Encoding": "gzip"} if packed else {}
    answer = refusal(limited, gzip.compress(body) if packed else body, **headers)
    assert answer[0] == status, answer
    assert message in answer[1]
    assert len(answer[1]) < 5000
    assert limited.predict(BODY).content == ANSWER


def test_a_bomb_does_not_delay_others(limited: ServerProcess) -> None:
    """The server answers while the body is parsed, not only before and after."""
    body = b'{"instances": [' + b'{"b64": "AAAA"}, ' * 240_000 + b"1]}"
    done = threading.Event()

    def attack() -> None:
        for _ in range(3):
            requests.post(f"{limited.url}:predict", body, timeout=PATIENCE)
        done.set()

    attacker = threading.Thread(target=attack)
    attacker.start()
    answered = 0
    while not done.is_set():
        assert limited.predict(BODY).content == ANSWER
        answered += 1
    attacker.join()
    assert answered > 20


def test_tokens_beyond_json_at_the_end_of_a_large_body(limited: ServerProcess) -> None:
    answer = limited.predict(b'{"instances": [' + b"1.25," * 1_400_000 + b"NaN, -Infinity]}")
    assert answer.content.endswith(b"2.625, NaN, -Infinity\n    ]\n}")


def test_a_parser_that_is_killed_loses_only_its_request(limited: ServerProcess) -> None:
    limited.predict(numbers(100_000))
    for pid in parsers(limited):
        os.kill(pid, signal.SIGKILL)
    assert limited.predict(numbers(100_000)).status_code == 200
    body = numbers(2_500_000)
    answers: list[requests.Response] = []
    asking = threading.Thread(target=lambda: answers.append(limited.predict(body)))
    asking.start()

    def kill() -> bool:
        for pid in parsers(limited):
            os.kill(pid, signal.SIGKILL)
        return bool(answers)

    eventually(kill, PATIENCE)
    asking.join()
    assert answers[0].status_code in (200, 429)
    assert limited.predict(numbers(100_000)).status_code == 200


def test_parsers_have_no_file_of_the_server_and_end_with_it(half_plus_two: Path, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        with ServerProcess(tmp_path / "log", half_plus_two) as process:
            process.wait_until_ready().predict(numbers(100_000))
            (parent,) = children(process.process.pid)
            pids = [parent, *children(parent)]
            assert len(pids) > 1
            for pid in pids:
                files = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if int(link.name) > 2}
                assert all(name.startswith(("socket:", "/memfd:")) for name in files), files
        for pid in pids:
            eventually(partial(has_ended, pid), PATIENCE)


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def send(process: ServerProcess, *pieces: bytes, end: bool = True) -> bytes:
    """Returns everything that the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            if end:
                client.shutdown(socket.SHUT_WR)
        except ConnectionError:
            pass
        received = b""
        while piece := client.recv(1 << 16):
            received += piece
        return received


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"a:\r\n" * 25, b"431"),
        (HEAD + b"a:\r\n" * 200_000, b"431"),
        (HEAD + b"a:" + b"b" * 12_000, b"431"),
        (HEAD + b"a" * 10_000, b"431"),
        (b"GET /" + b"a" * 10_000, b"431"),
        (CHUNKED + b"1\r\n1\r\n" * 300_000, b"400"),
        (CHUNKED + b"1;a=b\r\n1\r\n" * 200_000, b"400"),
        (CHUNKED + b"1;" + b"a" * 10_000, b"431"),
        (CHUNKED + b"0" * 10_000, b"431"),
        (CHUNKED + b"0\r\n" + b"a:\r\n" * 30, b"431"),
        (CHUNKED + b"f" * 30 + b"\r\n", b"400"),
        (HEAD + b"Content-Length: " + b"9" * 4000 + b"\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: " + b"9" * 19 + b"\r\n\r\n", b"413"),
    ],
)
def test_a_hostile_head_is_refused(limited: ServerProcess, data: bytes, status: bytes) -> None:
    answer = send(limited, data, end=False)
    assert answer.startswith(b"HTTP/1.1 " + status), answer


def test_zeros_before_a_number_are_not_a_failure(limited: ServerProcess) -> None:
    zeros = b"0" * 4500
    assert send(limited, HEAD + b"Content-Length: %b18\r\n\r\n%b" % (zeros, BODY)).endswith(ANSWER)
    assert send(limited, b"GET /v1/models/m/versions/%b1 HTTP/1.0\r\n\r\n" % zeros).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("digits", [19, 20, 4299, 4301, 4700])
def test_a_version_of_any_length_is_an_error_of_the_client(limited: ServerProcess, digits: int) -> None:
    version = "9" * digits
    for answer in (limited.get(f"/versions/{version}"), limited.predict(BODY, f"/versions/{version}:predict")):
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("Failed to convert version: 999")


def test_requests_behind_one_another_are_answered_in_order(limited: ServerProcess) -> None:
    request = HEAD + b"Content-Length: 18\r\n\r\n" + BODY
    assert send(limited, request * 2000).count(ANSWER) == 2000


def test_bodies_in_small_chunks_are_read(limited: ServerProcess) -> None:
    body = numbers(200_000)
    chunks = b"".join(b"5\r\n%b\r\n" % body[start : start + 5].ljust(5) for start in range(0, len(body), 5))
    assert send(limited, CHUNKED + chunks + b"0\r\n\r\n").endswith(b"2.5, 2.5\n    ]\n}")


def test_unfinished_bodies_do_not_keep_others_out(limited: ServerProcess) -> None:
    """More of them than there is room for: they are refused when another body waits, and their memory is freed."""
    before = shared_memory()
    clients = []
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", limited.port), timeout=PATIENCE)
        client.sendall(HEAD + b"Content-Length: 19000000\r\n\r\n" + b"1" * 5_000_000)
        clients.append(client)
    assert limited.predict(BODY).content == ANSWER
    assert limited.predict(numbers(100_000)).status_code == 200
    assert limited.predict(numbers(2_500_000)).status_code == 200
    answers = [client.recv(1 << 16)[:12] for client in clients[:2]]
    assert answers == [b"HTTP/1.1 408"] * 2
    for client in clients:
        client.close()
    eventually(lambda: shared_memory() < before + (10 << 20), PATIENCE)


def shared_memory() -> int:
    """Returns the bytes of all files in memory, on the whole machine."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Shmem:"))
    return int(line.split()[1]) << 10


def test_more_names_are_allowed_by_the_flag(limited: ServerProcess) -> None:
    for host, status in (("models.example:8501", 200), ("localhost", 200), ("other.example", 403)):
        assert requests.get(limited.url, headers={"Host": host}, timeout=PATIENCE).status_code == status


def test_the_memory_of_a_large_body_is_given_back(limited: ServerProcess) -> None:
    limited.predict(numbers(100_000))

    def resident() -> int:
        pids = [limited.process.pid, *children(limited.process.pid), *parsers(limited)]
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) << 12 for pid in pids)

    before = resident()
    body: Any = json.dumps({"instances": np.arange(400_000).reshape(-1, 4).tolist()})
    for _ in range(3):
        assert limited.predict(body).status_code == 200
    eventually(lambda: resident() < before + (60 << 20), PATIENCE)


def test_the_server_still_runs(limited: ServerProcess) -> None:
    assert limited.predict(BODY).content == ANSWER
    assert "Traceback" not in limited.log
    errors = [line for line in limited.log.splitlines() if line.startswith("E0000")]
    assert all("A parser process was ended: " in line for line in errors), errors
