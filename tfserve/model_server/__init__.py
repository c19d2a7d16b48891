"""The local model server: ``tensorflow_model_server``'s flags and APIs with TensorFlow's own runtime underneath.

A program of its own, ``tfserve-model-server`` or ``python -m tfserve.model_server``. It loads the shared library of
the TensorFlow wheel through its C API and never imports TensorFlow, which makes it start in a fraction of the time.

From the outside in: `main` (the program) and `flags` (its command line); `rest` and `grpc` (the APIs); `inference`
(what every API asks of a model, and where it runs); `models` (which models and versions there are, loading and
unloading); `runtime` (TensorFlow). `monitoring` (metrics), `text_files` (configuration files),
`status` and `log` serve all of them.

Where it differs from the official server on purpose:

======================  ====================================  ==========================================================
what                    official server                       here
======================  ====================================  ==========================================================
multi-inference         all signatures in one run             one run for each signature, on the same examples
batching                of sessions; a request of no rows     the same; no rows run too, rows of different ranks are an
                        waits for ever, padded rows of        error for their batch, cancelled requests are left out
                        different ranks crash
``model.tflite``        outputs of one operation hide each    all of them, by the tensors' full names; without LiteRT
                        other; signatures in its metadata     installed, the SavedModel; metadata is not read
saved_model_config.pb   overrides how the graph is optimised  not read
Text, Decision Forests  their operations are built in         models that use them are not loaded
profiler                served over gRPC by default           not there; its methods are UNIMPLEMENTED
other flags             each does its work                    accepted; one that changes nothing here says so in the log
files that flags name   read, and refused when wrong          the same, but those of flags that change nothing here
base path as a URI      reads it where TensorFlow has that    the start or reload is refused, as there is none but
                        file system, else logs errors for     ``file://``
                        ever
base path missing       no new version of any model is found  the other models are not concerned
custom model config     aborts                                the start ends with 255, a reload is refused
``logging_config``      the start or reload is refused, as    accepted, and said in the log to change nothing
                        there is nothing to log with
config refused          some of it is kept, so that the next  nothing of it is kept
                        one may be judged wrongly
config file             put into force at every look, though  put into force when it is not; goes on looking while
                        it did not change; looks no more      models load
                        while models load
reload                  waits for ever for a model without    so it does, until a later one leaves the model out
                        versions, and so do all later ones
broken version          stays so while it is the newest,      loaded again when it was gone for a moment
                        even when it was replaced
``--bind_address``      none: every interface, always         the address to listen on; default 0.0.0.0, every interface
request bodies          of any size; gRPC 2 GiB               at most ``--rest_api_max_body_bytes`` (256 MiB), else 413;
                                                              ``--grpc_max_message_bytes`` (2 GiB), else
                                                              RESOURCE_EXHAUSTED
port taken              REST: logs it and serves gRPC alone;  ends with 255
                        gRPC: another server may share it
one API alone           gRPC alone                            either, where the other one's port is 0
gRPC deadline           the run goes on                       ends the run
tensors cut short       the last value stands for all that    at most 64 MiB where values are missing, else
                        are missing, however many             INVALID_ARGUMENT
SIGTERM, SIGINT         ends at once, with 143 or 130         takes nothing new, finishes what runs, ends with 0 within
                                                              10 s; a second signal ends it at once, 128 + its number
integers out of range   wrap around silently (int8, uint8,    400
                        int16)
half, bfloat16, uint16  501 as inputs, 400 as outputs         taken and given as numbers
qint*, float8*, int4    by gRPC, like all types               INVALID_ARGUMENT as inputs, UNIMPLEMENTED as outputs
float32 outputs         6 digits, or 9 if those do not read   as few digits as read back exactly
                        back exactly
column format, base64   one value on each line                on one line; the same JSON
strings not in UTF-8    written as they are: broken JSON      broken bytes become U+FFFD; name the output ``*_bytes`` to
                                                              get every byte. Labels of classes too, in both APIs
nesting                 any depth                             at most 32 dimensions, else 400
broken gzip bodies      taken for empty ones; at most 100 MB  400 with what is wrong; the limit on request bodies
``Inf`` in JSON         read as Infinity                      400; ``NaN``, ``Infinity`` and ``-Infinity`` are read
``1e400`` in JSON       400                                   read as Infinity
errors in JSON          "Parse error" in RapidJSON's words    in Python's words
bad JSON, no model      400                                   404
the same key twice      the first counts                      the last counts
heads of requests       of any size                           at most 256 KiB, else 431
refused preflights      no body                               the error as JSON
methods not served      501 with a page                       501 with JSON; ``CONNECT`` and words unknown to HTTP 400
odd HTTP                folded headers, lines that end in LF  400, and the connection ends
                        alone, a length beside chunks: read
time limit              every request                         requests up to 64 KiB to a model that usually takes under
                                                              2 ms run to their end
metrics                 also TensorFlow's own, and those of   those of requests and loads; 1,000 combinations of labels
                        requests that are logged and of ML    of each are kept apart, the rest is ``(other)``
                        Metadata
messages in the log     as they are                           further lines indented, what is not printable escaped
XLA                     only with ``--xla_…_enabled``         always there
values of flags         bools also as ``1``, ``0`` or in      what every release takes: ``true``, ``false``, no space
                        capitals, space after numbers         after numbers
======================  ====================================  ==========================================================
"""
