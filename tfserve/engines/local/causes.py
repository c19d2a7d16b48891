"""Causes of a failed start that are different for a process than for a container."""

from __future__ import annotations

from tfserve.engines.base import Diagnosis
from tfserve.engines.diagnosis import (
    BUILT_FOR_ANOTHER_CPU,
    Causes,
    is_denied,
    is_exec_format_error,
    is_illegal_instruction,
)
from tfserve.errors import Attribute, Wording

__all__ = ["LOCAL_CAUSES", "OTHER_PROGRAM", "SANDBOX_CAUSES"]

OTHER_PROGRAM = (
    "Install a tensorflow_model_server for this CPU; without AVX that is tensorflow-model-server-universal: "
    "https://www.tensorflow.org/tfx/serving/setup\n"
    "Or remove the program that does not run from PATH, so that tfserve uses its own server."
)

LOCAL_CAUSES: Causes = (
    (is_illegal_instruction, Diagnosis(BUILT_FOR_ANOTHER_CPU, OTHER_PROGRAM, doctor=True)),
    (
        is_exec_format_error,
        Diagnosis("The program is for another platform than this machine.", OTHER_PROGRAM, doctor=True),
    ),
)

SANDBOX_CAUSES: Causes = (
    *LOCAL_CAUSES,
    (
        is_denied,
        Diagnosis(
            "The server is not allowed to use a file: it runs in a sandbox, in which it can read the directories of "
            "its models and write temporary files.",
            Wording(
                "Check the permissions of the model's files, and copy into the model what links lead to outside of it. "
                "If the model needs more than its own files, and you trust it: {unsandboxed}",
                unsandboxed=Attribute("unsandboxed", value=True),
            ),
        ),
    ),
)
"""The causes for a process in a sandbox."""
