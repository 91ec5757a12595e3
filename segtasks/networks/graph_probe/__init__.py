"""Measures a foreign graph by running it, in a process of its own: `python -m`."""
