"""Further tests: new inputs by mutation, outputs from verified solutions."""
