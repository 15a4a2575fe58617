"""Stable Diffusion WebUI: AUTOMATIC1111's and its forks. Files are named for the stage of a generation."""
