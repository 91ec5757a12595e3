"""Networks of the classic line, their registry, model files and receptive fields."""
