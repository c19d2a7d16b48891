"""Facts about this machine: its system, its ports and directories, and the locks that processes share."""
