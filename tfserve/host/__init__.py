"""The local machine: its operating system, ports and directories, and the locks that its processes share."""
