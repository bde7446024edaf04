"""What the doctor looks at, one area a file. Each yields findings, and nothing where all is well."""
