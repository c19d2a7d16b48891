"""Tests of tfserve.model_server.inference."""
