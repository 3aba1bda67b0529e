"""From rows to laws: which cells count, fits, verdicts, orders; DataFrame in, DataFrame out."""
