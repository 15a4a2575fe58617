"""A stand-in for the WebUI: what the adapter touches, with the host's names, signatures and order of calls."""
