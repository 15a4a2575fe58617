"""What an animation is, as values: parameters, plan, windows, prompt travel, latents, noise, infotext.

Nothing here knows a host, logs, or reads a file. Import the modules by name: `parameters`, `plan` and
`infotext` work without loading torch, so that a command line can answer `--help` at once.
"""
