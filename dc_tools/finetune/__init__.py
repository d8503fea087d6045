"""dc-finetune: teach a model the answers that were verified."""
