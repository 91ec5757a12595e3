"""Jobs: every setting of a user, checked by pydantic; CLI, YAML and forms are these models."""
