"""Frames between frames: one file for each way to make them, and the table of these."""
