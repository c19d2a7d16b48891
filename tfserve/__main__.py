"""``python -m tfserve``: the same as ``tfserve``."""

from tfserve.cli import main

if __name__ == "__main__":
    main()
