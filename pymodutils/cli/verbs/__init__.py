"""The verbs of kmod, one module each; `frame` has what they share (docs/verbs.md)."""
