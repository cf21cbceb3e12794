"""L3: what a system's state means: state in, values out."""
