from __future__ import annotations

import socket

from tfserve.host.ports import any_free_port, claim, is_free, release


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert not is_free("0.0.0.0", port)
    assert is_free("127.0.0.1", port)


def test_connections_of_the_past_do_not_matter() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the listener's side closes first, and so waits in TIME_WAIT
            assert client.recv(1) == b""
    assert is_free(*address)


def test_any_free_port_can_be_listened_on() -> None:
    port = any_free_port("127.0.0.1")
    assert port > 0
    assert is_free("127.0.0.1", port)


def test_the_address_of_another_machine_has_no_free_port() -> None:
    assert not is_free("192.0.2.1", 8501)  # TEST-NET-1 of RFC 5737: nobody's
    assert any_free_port("192.0.2.1") == 0


def test_a_port_is_claimed_by_one_at_a_time() -> None:
    assert claim(1)
    assert not claim(1)
    assert claim(2)
    release([1, None])
    assert claim(1)
    release([1, 2])
