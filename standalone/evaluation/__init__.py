"""Does the embedded model draw what it is told? A judge without a network, a list of prompts, a report."""
