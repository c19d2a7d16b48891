"""The layer between the APIs and the models: inference requests, and the thread or batch in which each runs."""
