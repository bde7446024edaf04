"""The designs that are compared; each is one file, and says where it departs from what was published."""
