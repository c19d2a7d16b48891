from __future__ import annotations

import pytest

from tfserve.client.model_ref import ModelRef
from tfserve.client.rest import RestClient, poll_status
from tfserve.errors import RequestError
from tfserve.models.saved_model import TensorSpec

from .faulty_server import responding_json


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"null",
        b'{"metadata": 5}',
        b'{"metadata": {"signature_def": []}}',
        b'{"metadata": {"signature_def": {"signature_def": 1}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": []}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": []}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {"x": 1}}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {"x": {"dtype": []}}}}}}}',
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {"x": {"tensor_shape": {"dim": 1}}}}}}}}',
        *(
            b'{"metadata": {"signature_def": {"signature_def": {"a": {"inputs": {"x": {"tensor_shape": {"dim": [{'
            + b'"size": '
            + size
            + b"}]}}}}}}}}"
            for size in (b'"--1"', b"1e9", b'"-2"', b'"9999999999999999999"', b"true", b"[]")
        ),
        b'{"metadata": {"signature_def": {"signature_def": {"a": {"method_name": 5}}}}}',
        b'{"model_spec": [], "metadata": {"signature_def": {"signature_def": {}}}}',
        b'{"model_spec": {"version": true}, "metadata": {"signature_def": {"signature_def": {}}}}',
    ],
)
def test_malformed_metadata(document: bytes) -> None:
    with (
        responding_json(document) as server,
        RestClient(server.url) as client,
        pytest.raises(RequestError, match="did not respond as TensorFlow Serving does: in the metadata, "),
    ):
        client.metadata(ModelRef("m"))


def test_metadata_with_omitted_fields() -> None:
    document = (
        b'{"metadata": {"signature_def": {"signature_def": {"__saved_model_init_op": {}, "a": {"inputs": {'
        b'"u": {"dtype": "DT_STRING", "tensor_shape": {"unknown_rank": true, "dim": []}},'
        b'"s": {"dtype": 99}}}}}}}'
    )
    with responding_json(document) as server, RestClient(server.url) as client:
        metadata = client.metadata(ModelRef("m"))
    assert (metadata.name, metadata.version, list(metadata.signatures)) == ("m", None, ["a"])
    assert metadata.signatures["a"].inputs == {"s": TensorSpec("DT_99", ()), "u": TensorSpec("DT_STRING", None)}
    assert metadata.signatures["a"].outputs == {}


@pytest.mark.parametrize(
    "document",
    [
        b"5",
        b'{"model_version_status": {}}',
        b'{"model_version_status": [1]}',
        b'{"model_version_status": [{"version": "x"}]}',
        b'{"model_version_status": [{"version": "9999999999999999999"}]}',
        b'{"model_version_status": [{"state": 5}]}',
        b'{"model_version_status": [{"status": []}]}',
    ],
)
def test_malformed_status(document: bytes) -> None:
    with responding_json(document) as server, pytest.raises(RequestError, match="in the status, "):
        poll_status(server.url, "m")
