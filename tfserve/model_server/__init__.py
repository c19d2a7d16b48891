"""The local model server: ``tensorflow_model_server``'s flags and APIs with TensorFlow's own runtime underneath.

A program of its own, ``tfserve-model-server`` or ``python -m tfserve.model_server``. It loads the shared library of
the TensorFlow wheel through its C API and never imports TensorFlow, so it starts in a fraction of the time.

From the outside in: `main` (the program) and `flags` (its command line); `rest` and `grpc` (the APIs); `inference`
(what all APIs need from a model, and which thread runs it); `models` (models and versions, loading and unloading);
`runtime` (TensorFlow). `monitoring` (metrics), `text_files` (configuration files), `status` and `log` serve all of
them.

``tfserve/docs/local-server.md`` lists where this server deliberately differs from the official one; ``tfserve help
local-server`` shows it.
"""

import os

# Nothing here computes with BLAS, whose threads would start when NumPy is imported; see `rest.parser_process`.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
