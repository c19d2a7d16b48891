"""Which models, versions and labels there are: configuration, file system, loading and unloading."""
