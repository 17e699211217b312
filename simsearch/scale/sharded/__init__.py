"""Several libraries, or services, searched as one."""
