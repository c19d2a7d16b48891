"""Lets ``python -m tfserve.model_server`` run the server."""

from tfserve.model_server.main import main

main()
