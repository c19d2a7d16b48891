"""``tfserve demo``: the main example of TensorFlow Serving's guide as one command."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from tfserve.cli.options import EngineOption, GpuOption, JsonOption
from tfserve.cli.output import Output
from tfserve.errors import SavedModelError

__all__ = ["bundled_model", "demo"]

_PACKAGE = Path(__file__).resolve().parents[2]
_VALUES = (1.0, 2.0, 5.0)


def demo(*, engine: EngineOption = "auto", gpu: GpuOption = None, json: JsonOption = False) -> None:
    """Serve an example model, send it a request, clean up.

    The model is half_plus_two of TensorFlow Serving's guide, and the request has the values 1, 2 and 5. With --gpu the
    model is half_plus_two_gpu, which computes the same on a GPU.
    """
    import uuid

    from tfserve.client.model_ref import ModelRef
    from tfserve.client.rest import RestClient
    from tfserve.interrupts import interrupts_deferred
    from tfserve.servers.launch import launch
    from tfserve.spec.model import ModelSpec
    from tfserve.spec.port_request import PortRequest
    from tfserve.spec.serve import LaunchOptions, ServeSpec

    output = Output(json_wanted=json)
    model = "half_plus_two_gpu" if gpu else "half_plus_two"
    # A unique name and free ports, so that the demo does not affect other servers.
    any_port = PortRequest(0)
    spec = ServeSpec(
        name=f"demo-{uuid.uuid4().hex[:8]}",
        models=(ModelSpec(bundled_model(model), model),),
        gpu=gpu,
        rest_port=any_port,
        grpc_port=any_port,
    )
    output.notice(f"Serving {model}, which computes 0.5 * x + 2 ...")
    launched = launch(spec, LaunchOptions(engine=engine, smoke_test=False), output)
    try:
        url = str(launched.server.rest_url)
        body = json_module.dumps({"instances": _VALUES}).encode()
        with RestClient(url) as client:
            response = client.infer("predict", ModelRef(model), body).document
    finally:
        with interrupts_deferred():
            launched.server.remove()
    text = f"""\
POST {url}/v1/models/{model}:predict
  {body.decode()}
Response
  {json_module.dumps(response["predictions"])}
The demo server was removed. To serve a model of your own:
  tfserve run ./my_model              start a server and test it
  tfserve predict my_model 1 2 5      send it a request
  tfserve logs my_model               show its log"""
    output.result({"engine": launched.server.engine.name, "instances": _VALUES, **response}, text)


def bundled_model(name: str) -> Path:
    """The base path of an example model: in the installed package, or in the examples/ of a source checkout.

    Raises:
        SavedModelError: the installation is incomplete.
    """
    for examples in (_PACKAGE / "examples", _PACKAGE.parent / "examples"):
        if (examples / name).is_dir():
            return examples / name
    raise SavedModelError(
        f"The example model {name!r} is missing from this installation.",
        hint="Install it again: pip install --force-reinstall tfserve-cli",
    )
