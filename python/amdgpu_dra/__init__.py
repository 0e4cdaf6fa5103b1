"""AMD GPU driver for Kubernetes Dynamic Resource Allocation."""
