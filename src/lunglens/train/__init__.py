"""Networks, training, cross-validation, export. Torch lives here and nowhere else."""
