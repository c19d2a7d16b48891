"""Serves a model and asks it, from Python. Each section can be a cell of a notebook.

Usage: ``python examples/client_script.py``; with Docker it uses ``tensorflow/serving``, else a local process.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import tfserve
from tfserve.errors import RequestError, UsageError

MODEL = Path(__file__).parent / "half_plus_two"

with tfserve.serve(MODEL) as server:
    print(server)

    # From an array an array, from arrays by name arrays by name; the signature says which dtype.
    print("predict", server.predict([1, 2, 5]))
    print("by name", server.predict({"x": np.array([1.5, -2.5])}))
    print("version 1", server.predict([1, 2, 5], version=1))

    # Examples are dicts of features: 1 would be an int64, 1.0 is a float.
    print("classify", [[round(one.score, 2) for one in classes] for classes in server.classify([{"x": 1.0}])])
    print("regress", server.regress([{"x": 1.0}, {"x": 2.0}], signature="regress_x_to_y"))

    # What it takes and gives, and how it does.
    for name, signature in server.metadata().signatures.items():
        print("signature", name, signature.method)
    print("status", [(version.version, version.state) for version in server.status()])

    # What does not fit is refused before it is sent, with what would fit; what the server refuses is told the same way.
    server.timeout = 5
    try:
        server.predict(["one"])
    except UsageError as error:
        print("refused:", error.message, error.details)
    try:
        server.predict([1], version=7)
    except RequestError as error:
        print("refused:", error.message)

    # Any server can be asked, whoever started it, and over gRPC too.
    with tfserve.Client(str(server.grpc_address), model="half_plus_two", api="grpc") as client:
        print("gRPC", client.predict([1, 2, 5]))
