"""Jobs on Kubernetes as a user has them: a real server, and the fake cluster or the one that KUBECONFIG names."""
