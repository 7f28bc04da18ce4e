"""A folder for the path of other processes: Python runs its `sitecustomize` at its start."""
