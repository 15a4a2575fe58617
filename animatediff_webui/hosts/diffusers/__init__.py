"""diffusers, the library: checkpoints and LoRAs from files, prompts, samplers, and clips by an `Animator`."""
