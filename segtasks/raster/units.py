"""Units, in bytes, seconds and square metres."""

MIB, GIB = 2**20, 2**30
HALF_BYTES, FLOAT_BYTES = 2, 4
"""Of a float16 and a float32."""
MINUTE, HOUR = 60, 3600
HECTARE_M2, KM2_M2 = 1e4, 1e6
