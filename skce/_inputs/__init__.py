"""From what users pass to arrays: validation, labels, weights, splits and samples."""
