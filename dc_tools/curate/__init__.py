"""dc-curate: rows of the field's raw datasets in, problems whose reference solution was verified out."""
