"""What a fine-tuned transformer teaches a smaller model: its tokens, their vectors, its expectations, its texts."""
