"""L4: the only code that changes anything: the kernel (`execute`) and files (`publish`)."""
