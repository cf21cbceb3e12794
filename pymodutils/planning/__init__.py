"""L3: what modprobe will do, decided without doing it."""
