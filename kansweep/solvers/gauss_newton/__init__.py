"""Second order for KANs of B-splines: penalised, gauge-fixed, batched Gauss-Newton."""
