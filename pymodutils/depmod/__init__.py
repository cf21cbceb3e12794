"""L3: depmod as stages: scan, extract, resolve, order, render."""
