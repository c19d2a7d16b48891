from __future__ import annotations

import pytest

from tfserve.errors import UsageError
from tfserve.protos.server_config_pb2 import BatchingParameters, MonitoringConfig
from tfserve.protos.text_files import parse_text
from tfserve.spec.server_configs import BATCHING, batching_text, monitoring_text, parse_batching, parse_monitoring


def test_every_batching_parameter() -> None:
    values = {"integer": "8", "boolean": "true", "string": "a-b", "integers": "2,8"}
    given = [f"{name}={values[parameter.type]}" for name, parameter in BATCHING.items()]
    message = parse_text(batching_text(parse_batching(given)).encode(), BatchingParameters())
    assert {field.name for field, _ in message.ListFields()} == set(BATCHING)
    assert {field.name for field in BatchingParameters.DESCRIPTOR.fields} == set(BATCHING)
    assert (message.max_batch_size.value, list(message.allowed_batch_sizes)) == (8, [2, 8])
    assert (message.thread_pool_name.value, message.pad_variable_length_inputs) == ("a-b", True)


def test_default_batching() -> None:
    assert parse_batching(["on"]) == {}
    assert parse_batching(["on", "num_batch_threads=2"]) == {"num_batch_threads": 2}


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (["off"], "'off' is not a batching parameter", "on, or KEY=VALUE"),
        (["max_bacth_size=1"], "is not a batching parameter", "max_batch_size?"),
        (["max_batch_size"], "max_batch_size needs a value", "max_batch_size=VALUE"),
        (["max_batch_size=-1"], "is not a value of type integer", "Maximum size of a batch"),
        (["max_batch_size=0"], "cannot be 0", "Maximum size of a batch"),
        (["max_batch_size=٣"], "is not a value of type integer", "Maximum size of a batch"),
        (["enable_large_batch_splitting=1"], "is not a value of type boolean", "large request"),
        (['thread_pool_name="'], "is not a value of type string", "thread pool"),
        (["allowed_batch_sizes="], "is not a value of type integers", "Sizes"),
        (["allowed_batch_sizes=8,4"], "not in ascending order", "8,16,32"),
        (["allowed_batch_sizes=4,8"], "is 8, but max_batch_size is 1000", "the same"),
    ],
)
def test_invalid_batching(given: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_batching(given)
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_monitoring() -> None:
    assert parse_monitoring("on") == "/monitoring/prometheus/metrics"
    config = parse_text(monitoring_text(parse_monitoring("/a-b")).encode(), MonitoringConfig()).prometheus_config
    assert (config.enable, config.path) == (True, "/a-b")
    for text in ("off", "", "metrics", '/"'):
        with pytest.raises(UsageError, match="is not a URL path for the metrics"):
            parse_monitoring(text)
