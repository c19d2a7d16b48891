"""Tests of the model server, module by module, and the servers and models they share."""
