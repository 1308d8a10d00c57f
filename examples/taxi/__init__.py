"""The seven queries of the Flint paper over New York's taxi trips."""
