"""``tfserve demo``: TensorFlow Serving's guide in one go."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from tfserve.cli.options import EngineOption, GpuOption, JsonOption
from tfserve.cli.output import Output
from tfserve.errors import SavedModelError

__all__ = ["bundled_model", "demo"]

_VALUES = (1.0, 2.0, 5.0)


def demo(*, engine: EngineOption = "auto", gpu: GpuOption = None, json: JsonOption = False) -> None:
    """Serve a model, ask it, clean up.

    The model is the bundled half_plus_two, the question 1 2 5, as in TensorFlow Serving's guide. With --gpu it is
    half_plus_two_gpu, which computes the same and can only be served on a GPU.
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
    # A name and ports of its own: a demo takes nothing from a server that is there already.
    any_port = PortRequest(0)
    spec = ServeSpec(
        name=f"demo-{uuid.uuid4().hex[:8]}",
        models=(ModelSpec(bundled_model(model), model),),
        gpu=gpu,
        rest_port=any_port,
        grpc_port=any_port,
    )
    output.notice(f"Serving {model}, a model that computes 0.5 * x + 2 ...")
    launched = launch(spec, LaunchOptions(engine=engine, smoke_test=False), output)
    try:
        url = str(launched.server.rest_url)
        body = json_module.dumps({"instances": _VALUES}).encode()
        with RestClient(url) as client:
            answer = client.infer("predict", ModelRef(model), body).document
    finally:
        with interrupts_deferred():
            launched.server.remove()
    text = f"""\
Asked {url}/v1/models/{model}:predict
  {body.decode()}
and the model answered
  {json_module.dumps(answer["predictions"])}
The demo's server is removed again. With a model of yours:
  tfserve run ./my_model              serves it, and tries it with one request
  tfserve predict my_model 1 2 5      asks it
  tfserve logs my_model               shows what it has to say"""
    output.result({"engine": launched.server.engine.name, "instances": _VALUES, **answer}, text)


_PACKAGE = Path(__file__).resolve().parents[2]


def bundled_model(name: str) -> Path:
    """The base path of a bundled model: inside the installed package, or in the examples of a source checkout.

    Raises:
        SavedModelError: the package was installed without it.
    """
    for examples in (_PACKAGE / "examples", _PACKAGE.parent / "examples"):
        if (examples / name).is_dir():
            return examples / name
    raise SavedModelError(
        f"This installation lacks the model {name!r}.",
        hint="Install it again: pip install --force-reinstall tfserve-cli",
    )
