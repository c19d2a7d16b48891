"""NVIDIA GPUs: what NVML reports, what a container still lacks to use one, and whether a server uses them."""
