"""The programs that aflint is measured beside."""
