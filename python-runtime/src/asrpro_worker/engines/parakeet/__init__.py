"""The engine `parakeet-mlx`: Parakeet in MLX format."""
