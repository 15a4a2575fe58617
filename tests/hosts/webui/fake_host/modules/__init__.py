"""A stand-in for the WebUI: what the adapter touches, by the host's names and in its order of calls."""
