"""Levenberg-Marquardt for any network with a gradient: dense Jacobians, a ridge by evidence."""
