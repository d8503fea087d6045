"""dc-rollout: sample answers to problems from a language model, tokens in and tokens out."""
