"""The program that runs alibi-detect, with the interpreter of another environment; see docs/alibi.md."""
