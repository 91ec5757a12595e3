"""The report of a run: areas, seams, timings and settings; `page` puts them together."""
