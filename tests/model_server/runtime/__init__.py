"""Tests of tfserve.model_server.runtime."""
