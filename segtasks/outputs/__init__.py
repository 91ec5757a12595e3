"""What a run publishes: COGs, STAC item, polygons, styles and the report."""
