"""From job, raster header and model card to a plan, and what the plan costs."""
