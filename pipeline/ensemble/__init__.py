"""Members' prediction files -> member weights, fused prediction files, metrics and the submission."""
