"""All reading and writing: rasters, Zarr arrays, COGs, object stores, vectors, receipts."""
