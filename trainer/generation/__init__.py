"""From features to a version that is served: plan, build, check, staging."""

from engine.cores import choose_kernels

choose_kernels()  # modules of this package load FAISS
