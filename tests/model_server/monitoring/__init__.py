"""Tests of `tfserve.model_server.monitoring`."""
