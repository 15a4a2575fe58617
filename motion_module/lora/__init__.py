"""LoRAs: which layers a file changes, and how it acts on a motion module and on an image model's UNet."""
