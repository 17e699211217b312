"""One metric, one file: its bounds in float32, its distances in float64, its kernels."""
