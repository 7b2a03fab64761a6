"""NVIDIA's checkpoints, the engine `nemo`."""
