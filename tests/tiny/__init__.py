"""Tiny models and tokenizers, and what is known of them from their source."""
