"""What may be asked: rules of values, schemas of keys, and how Hydra learns of them."""
