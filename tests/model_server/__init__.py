"""Tests of the model server, and the servers and models that they share."""
