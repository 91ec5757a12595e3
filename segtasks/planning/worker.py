"""What a worker process takes: its own memory, and the tiles that it holds at a time."""

PROCESS_BYTES = 700 * 2**20  # Python, torch, GDAL and their caches, measured on an idle worker
TILES_IN_FLIGHT = 2  # one computes while the other is read ahead or written behind
