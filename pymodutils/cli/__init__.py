"""L5: the commands, their wording and their exit codes."""
