"""Images in object storage (s3, gs, az): found, and fetched within bounds."""
