"""One architecture per file, the paper on top: backbone -> decoder -> head. Needs torch."""
