"""From texts to the pairs that match: by heads of shingle sets, keys of bands, or vectors; here or on a cluster."""
