"""A session in front of a person: commands, what greets him, what is put right when a core is opened."""
