"""What corebox can do, one verb per file: composes the parts, takes and returns values, prints nothing."""
