"""The ports: the interfaces that the use cases need, one subject per file, each as narrow as possible."""
