"""Connected regions of a mask across tile borders: label, sieve, outline, simplify, stitch."""
