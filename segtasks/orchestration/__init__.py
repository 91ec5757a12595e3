"""What the flows need of Prefect: tasks, artifacts, run states and a local server."""
