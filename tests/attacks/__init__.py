"""Attacks on the model server: run by hand, ``python -m tests.attacks``, and in part by ``tests/run``.

`rest`, `grpc` and `grpc_frames` have one function for each attack, and `fuzz` sends random requests without end.
`measure` runs them against a fresh server, next to a client that sends ordinary requests.
"""
