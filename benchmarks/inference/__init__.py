"""How long it takes to read one face: `python -m benchmarks.inference --json FILE`."""
