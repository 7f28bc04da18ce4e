"""Programs to read and to run: `python -m examples.shop`, `python -m examples.storm`."""
