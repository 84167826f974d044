"""What to tell gdb, and what it answers.

What takes answers apart, and what stands between gdb and an editor, is imported from its own module: who only opens a
crash need not wait for it.
"""
