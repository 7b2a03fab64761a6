"""The engine `parakeet-mlx`."""
