"""Running a plan: stages, tiles, executors and Dask. Needs no Prefect."""
