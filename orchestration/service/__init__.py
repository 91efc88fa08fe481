"""`deepexp3d serve`: pictures in, expression and emotion out, over HTTP. Knows nothing of Dagster."""
