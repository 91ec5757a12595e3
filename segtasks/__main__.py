"""``python -m segtasks``."""

from segtasks.cli import main

if __name__ == "__main__":
    main()
