"""A gRPC MultiInference request: several signatures of one model on the same examples.

Source: ``multi_inference.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfserve.model_server.grpc.examples_requests import fill_classifications, fill_regressions
from tfserve.model_server.grpc.messages import fill_model_spec, read_message, requested_model
from tfserve.model_server.inference import classification, regression
from tfserve.model_server.inference.examples import context_bytes, examples_call, serialized_examples
from tfserve.model_server.inference.request import Call, InferenceRequest, Outputs
from tfserve.model_server.runtime.servable import DEFAULT_SIGNATURE, Servable, Signature
from tfserve.model_server.status import Code, StatusError, invalid_argument
from tfserve.protos.apis_pb2 import InferenceTask, MultiInferenceRequest, MultiInferenceResponse

_OUTPUTS_OF: dict[str, Callable[[Signature, bool], tuple[str, ...]]] = {
    classification.METHOD: classification.classification_outputs,
    regression.METHOD: regression.regression_outputs,
}


class GrpcMultiInference(InferenceRequest):
    """A ``MultiInferenceRequest``.

    Args:
        body: the serialized message.
        timeout_ms: longest time of each run, in milliseconds; 0 for no limit.

    Raises:
        StatusError: INTERNAL, `body` is not such a message; INVALID_ARGUMENT, it does not name a model.
    """

    __slots__ = ("_count", "_message", "model", "size", "timeout_ms")

    api = "MultiInference"
    entrypoint = "GRPC"

    def __init__(self, body: bytes, timeout_ms: int) -> None:
        self._message = message = read_message(MultiInferenceRequest, body)
        first = message.tasks[0] if message.tasks else InferenceTask()
        self.model = requested_model(first.model_spec)
        self.size = len(body) + context_bytes(message.input)
        self.timeout_ms = timeout_ms

    def prepare(self, servable: Servable) -> Sequence[Call]:
        tasks = self._message.tasks
        wanted = []
        seen: set[str] = set()
        for task in tasks:
            if not task.model_spec.name:
                raise invalid_argument("Found ModelSpec with an empty model name.")
            if task.model_spec.name != self.model.name:
                raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            name = _signature_name(task)
            if name in seen:
                raise invalid_argument(f"Duplicate evaluation of signature: {name}")
            seen.add(name)
            wanted.append((name, _signature(servable, task), _outputs(servable, task)))
        examples = serialized_examples(self._message.input)
        self._count = len(examples)
        return [examples_call(name, signature, examples, outputs) for name, signature, outputs in wanted]

    def release(self) -> None:
        self._message = MultiInferenceRequest(tasks=self._message.tasks)

    def finish(self, servable: Servable, results: Sequence[Outputs]) -> bytes:
        response = MultiInferenceResponse()
        for task, outputs in zip(self._message.tasks, results, strict=True):
            result = response.results.add()
            fill_model_spec(result.model_spec, task.model_spec, servable)
            signature = _signature(servable, task)
            if task.method_name == classification.METHOD:
                classes = classification.read_classifications(signature, outputs, self._count)
                fill_classifications(result.classification_result, classes)
            else:
                values = regression.read_regressions(signature, outputs, self._count)
                fill_regressions(result.regression_result, values)
        return response.SerializeToString()


def _signature_name(task: InferenceTask) -> str:
    return task.model_spec.signature_name or DEFAULT_SIGNATURE


def _signature(servable: Servable, task: InferenceTask) -> Signature:
    name = _signature_name(task)
    found = servable.signatures.get(name)
    if found is None:
        raise invalid_argument(f"Requested signature not found in model graph: {name}")
    return found


def _outputs(servable: Servable, task: InferenceTask) -> tuple[str, ...]:
    """Returns the outputs that the response to a task needs."""
    signature = _signature(servable, task)
    outputs_of = _OUTPUTS_OF.get(task.method_name)
    if outputs_of is None:
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
    return outputs_of(signature, servable.checks_methods)
