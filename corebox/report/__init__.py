"""What is known of a crash, as a document, as text, as a page, and as a signature."""
