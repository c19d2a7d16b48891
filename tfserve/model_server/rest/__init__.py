"""The REST API: HTTP server, paths, and the JSON of requests and responses."""
