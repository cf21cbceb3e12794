"""L1: file formats, each a pure mapping between bytes and values."""
