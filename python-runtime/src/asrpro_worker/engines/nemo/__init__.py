"""The engine `nemo`: NVIDIA's `.nemo` checkpoints."""
