"""Serves a model and sends it requests from Python. Each section can be a cell of a notebook.

Usage: ``python examples/client_script.py``. It serves with ``tensorflow/serving`` on Docker, or with a local process.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tfserve
from tfserve.errors import RequestError, UsageError

MODEL = Path(__file__).parent / "half_plus_two"

with tfserve.serve(MODEL) as server:
    print(server)

    # An array returns an array, and arrays by name return arrays by name. The signature determines the dtype.
    print("predict", server.predict([1, 2, 5]))
    print("by name", server.predict({"x": np.array([1.5, -2.5])}))
    print("version 1", server.predict([1, 2, 5], version=1))

    # Examples are dicts of features: 1 is sent as int64, 1.0 as float.
    print("classify", [[round(one.score, 2) for one in classes] for classes in server.classify([{"x": 1.0}])])
    print("regress", server.regress([{"x": 1.0}, {"x": 2.0}], signature="regress_x_to_y"))

    # The signatures of the model, and the state of its versions.
    for name, signature in server.metadata().signatures.items():
        print("signature", name, signature.method)
    print("status", [(version.version, version.state) for version in server.status()])

    # Values that do not fit raise an error before a request is sent, and so does a request that the server rejects.
    server.timeout = 5
    try:
        server.predict(["one"])
    except UsageError as error:
        print("refused:", error.message, error.details)
    try:
        server.predict([1], version=7)
    except RequestError as error:
        print("refused:", error.message)

    # A client can send requests to any TensorFlow Serving server, also over gRPC.
    with tfserve.Client(str(server.grpc_address), model="half_plus_two", api="grpc") as client:
        print("gRPC", client.predict([1, 2, 5]))
