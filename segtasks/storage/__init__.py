"""All input and output: rasters, arrays, COGs, objects, receipts."""
