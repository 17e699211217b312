"""What only a GPU can settle: one module a stage, all run by `scripts/gpu_proof`."""
