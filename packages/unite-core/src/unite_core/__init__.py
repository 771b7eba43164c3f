"""One network that is both tokenizer and generator: the modality-agnostic core."""
