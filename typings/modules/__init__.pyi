"""What the extension uses of a WebUI's own modules, which exist only inside one; tests know the real ones."""
