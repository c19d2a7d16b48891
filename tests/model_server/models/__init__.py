"""Tests of tfserve.model_server.models."""
