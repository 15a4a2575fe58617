"""How the embedded model is made: drawn clips, four training stages, fixed seeds."""
