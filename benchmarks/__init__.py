"""Side-by-side measurements: this project's temporal layers, steps and files beside those of its peers."""
