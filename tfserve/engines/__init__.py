"""What runs a launch plan: the Docker Engine, or a process of this machine."""
