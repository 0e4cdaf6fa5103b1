"""The allocator's speed beside Kubernetes' own, shape by shape, in one run."""
