#pragma once

// The shared library that the program needs; found by rpath.
extern thread_local int worker_number;
extern __thread long worker_ticket;

using Compare = int (*)(const void *, const void *);

void start_workers(int count);
void sort_with(const char *plugin);
