"""L2: what is: the modules on disk, the live kernel, the merged configuration."""
