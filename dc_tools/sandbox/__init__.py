"""dc-sandbox: judge programs that may be wrong, slow or hostile."""
