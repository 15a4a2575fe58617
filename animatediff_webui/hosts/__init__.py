"""The families of hosts that the engine runs in, one room each; they share nothing with one another."""
