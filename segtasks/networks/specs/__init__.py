"""The registry entries of the networks, one file per family. Needs no torch."""
