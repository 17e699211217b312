"""The machine: devices, processors, threads, processes, memory, compiled kernels, provenance."""
