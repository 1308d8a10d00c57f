"""The `aflint` command. Each module here that has a `register(app)` adds its own sub-command."""
