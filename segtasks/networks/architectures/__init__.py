"""The architectures, one family per file, each with its paper: backbone -> decoder -> head."""
