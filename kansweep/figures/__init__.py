"""A study in, figures out; none computes a statistic."""
