"""Tests of tfserve.model_server.rest."""
