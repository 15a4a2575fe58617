"""Fused kernels in Triton, which PyTorch's CUDA builds bring; each equals a plain path within rounding."""
