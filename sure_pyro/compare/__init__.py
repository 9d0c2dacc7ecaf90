"""Many uncertainty models, one table: evaluation masks, scores, and the comparison itself."""
