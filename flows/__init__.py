"""Prefect flows, one file each. Prefect loads a file by its path; no code imports this package."""
