"""From a configuration to rows on disk: what is planned, left to do, performed, kept."""
