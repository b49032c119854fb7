"""The ports: what the use cases need from the world, one noun a file, each as narrow as its users allow."""
