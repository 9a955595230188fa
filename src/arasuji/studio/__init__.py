"""The studio: a local server that does what the verbs do, through the same functions and one engine for each model."""
