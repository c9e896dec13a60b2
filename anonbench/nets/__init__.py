"""Network definitions that load the files their authors published."""
