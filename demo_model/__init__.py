"""The embedded model: its world, how it was trained, how good it is, and its weights."""
