"""Helpers of the tests: rasters, models, servers and oracles."""
