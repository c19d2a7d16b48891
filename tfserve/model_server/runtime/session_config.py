"""Converts the flags about TensorFlow's sessions to the ``tensorflow.ConfigProto`` of a session.

Sources: ``model_servers/server.cc`` and ``servables/tensorflow/saved_model_bundle_factory.cc`` of TensorFlow Serving.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfserve.model_server import log
from tfserve.model_server.status import invalid_argument
from tfserve.model_server.text_files import read_message
from tfserve.protos.server_config_pb2 import ConfigProto, RewriterConfig


@dataclass(frozen=True)
class SessionFlags:
    """The flags about sessions; each attribute is the flag of that name, without the prefix ``tensorflow_``.

    Attributes:
        session_config_file: path of a ``ConfigProto`` in text format; empty for none.
        session_parallelism: threads for one op, and ops that run at the same time; 0 lets TensorFlow choose.
        intra_op_parallelism: threads for one op; 0 lets TensorFlow choose.
        inter_op_parallelism: ops that run at the same time; 0 lets TensorFlow choose.
        per_process_gpu_memory_fraction: 0 to 1; 0 lets TensorFlow choose.
        mixed_precision: ``bfloat16``, or empty for none.
    """

    session_config_file: str = ""
    session_parallelism: int = 0
    intra_op_parallelism: int = 0
    inter_op_parallelism: int = 0
    per_process_gpu_memory_fraction: float = 0.0
    mixed_precision: str = ""


def session_config(flags: SessionFlags) -> bytes:
    """Returns the serialized ``ConfigProto``.

    As in the official server, the numbers of threads and the memory fraction in the file are never used: the flags
    override them, even if they are 0.

    Raises:
        StatusError: the file cannot be read, or the flags contradict each other.
    """
    config = ConfigProto()
    if flags.session_config_file:
        read_message(Path(flags.session_config_file), config)
    intra, inter = flags.intra_op_parallelism, flags.inter_op_parallelism
    if intra > 0 and inter > 0 and flags.session_parallelism > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    if intra <= 0 and inter <= 0:
        intra = inter = flags.session_parallelism
    config.intra_op_parallelism_threads = _thread_count(intra)
    config.inter_op_parallelism_threads = _thread_count(inter)
    config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    if flags.mixed_precision == "bfloat16":
        log.info("Running inference with bfloat16 auto mixed precision")
        config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = RewriterConfig.ON
    elif flags.mixed_precision:
        log.warning(f"{flags.mixed_precision} auto mixed precision is not supported. Valid option: bfloat16")
    return config.SerializeToString()


def _thread_count(number: int) -> int:
    return min(max(0, number), (1 << 31) - 1)  # the flags are 64 bits wide, the fields 32
