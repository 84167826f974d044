"""A crash in words, as every command says it. Runs at the customer site too: Python 3.6, standard library only."""
