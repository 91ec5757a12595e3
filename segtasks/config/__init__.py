"""Jobs: what a user may set, checked by pydantic. Command line, YAML and form are these models."""
