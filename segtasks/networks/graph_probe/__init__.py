"""Measure a foreign graph by running it; a program for a separate process (`python -m`)."""
