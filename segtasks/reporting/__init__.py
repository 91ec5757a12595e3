"""What a run's report says: areas, seams, timings, settings; `page` puts them together."""
