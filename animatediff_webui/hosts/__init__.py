"""One adapter per host: what its models and samplers are called there, and nothing else."""
