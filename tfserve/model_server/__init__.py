"""The local model server: ``tensorflow_model_server``'s flags and APIs with TensorFlow's own runtime underneath.

A program of its own, ``tfserve-model-server`` or ``python -m tfserve.model_server``. It loads the shared library of
the TensorFlow wheel through its C API and never imports TensorFlow, which makes it start in a fraction of the time.

From the outside in: `main` (the program) and `flags` (its command line); `rest` and `grpc` (the APIs); `inference`
(what every API asks of a model, and where it runs); `models` (which models and versions there are, loading and
unloading); `runtime` (TensorFlow). `monitoring` (metrics), `text_proto` (configuration files), `status` and `log`
serve all of them.

Where it differs from the official server on purpose:

=====================  =====================================  ==========================================================
what                   official server                        here
=====================  =====================================  ==========================================================
gRPC API               served on ``--port``                   not served yet; said in the log
classify and regress   served                                 not served yet: 501
several models         ``--model_config_file``                one model, by name and base path; no labels yet
other flags            each does its work                     accepted; one that changes nothing here says so in the log
``--bind_address``     none: every interface, always          the address to listen on; default 0.0.0.0, every interface
request bodies         of any size                            at most ``--rest_api_max_body_bytes`` (256 MiB), else 413
port taken             logs it and serves the other API       ends with 255, as there is no other API yet
SIGTERM, SIGINT        ends at once, with 143 or 130          takes nothing new, finishes what runs, ends with 0 within
                                                              10 s; a second signal ends it at once, 128 + its number
integers out of range  wrap around silently (int8, uint8,     400
                       int16)
half, bfloat16,        501 as inputs, 400 as outputs          taken and given as numbers
uint16
float32 outputs        6 digits, or 9 if those do not read    as few digits as read back exactly
                       back exactly
column format, base64  one value on each line                 on one line; the same JSON
strings that are not   written as they are: broken JSON       broken bytes become U+FFFD; name the output ``*_bytes``
UTF-8                                                         to get every byte
nesting                any depth                              at most 32 dimensions, else 400
``Inf`` in JSON        read as Infinity                       400; ``NaN``, ``Infinity`` and ``-Infinity`` are read
time limit             every request                          requests up to 64 KiB to a model that usually takes under
                                                              2 ms run to their end
metrics                also TensorFlow's own                  those of requests and loads; 1,000 combinations of labels
                                                              of each are kept apart, the rest is ``(other)``
messages in the log    as they are                            further lines indented, what is not printable escaped
XLA                    only with ``--xla_…_enabled``          always there
values of flags        bools also as ``1``, ``0`` or in       what every release takes: ``true``, ``false``, no space
                       capitals, space after numbers          after numbers
=====================  =====================================  ==========================================================
"""
