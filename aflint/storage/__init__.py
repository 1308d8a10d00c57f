"""One small seam for input, output and large payloads: local files, S3."""
