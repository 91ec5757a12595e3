"""The declarations, one file per family of networks. Needs no torch."""
