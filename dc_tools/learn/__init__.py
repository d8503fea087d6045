"""dc-learn: GRPO+ on problems whose answers are checked by running tests, driven over Ray."""
