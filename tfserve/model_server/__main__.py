"""Runs the server for ``python -m tfserve.model_server``."""

from tfserve.model_server.main import main

main()
