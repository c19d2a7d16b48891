"""Runs the server for ``python -m tfserve.model_server``, without importing from the current directory."""

from tfserve.host.search_paths import leave_current_directory

leave_current_directory()

from tfserve.model_server.main import main  # noqa: E402

main()
