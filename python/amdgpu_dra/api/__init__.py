"""Words shared with others: objects, errors, records. Pure."""
