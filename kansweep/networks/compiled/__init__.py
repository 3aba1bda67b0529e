"""KANs in compiled loops over points: no step stores points times nonzeros."""
