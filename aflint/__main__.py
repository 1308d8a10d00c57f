"""`python -m aflint` is the `aflint` command."""

from aflint.cli.main import app

if __name__ == "__main__":
    app(prog_name="aflint")
