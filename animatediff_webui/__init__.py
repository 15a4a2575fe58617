"""The animation engine that knows no host (`core`, `media`), its adapters (`hosts`) and its page (`ui`)."""

__version__ = "0.1.0"
