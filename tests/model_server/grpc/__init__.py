"""Tests of tfserve.model_server.grpc."""
