#include "stages.h"

// Crashes when libc's qsort calls it: the way down leads through a library that the vendor does not have.
extern "C" int compare(const void *left, const void *right) {
    volatile int *nothing = nullptr;
    worker_number = 42;
    worker_ticket = 4242;
    *nothing = *static_cast<const int *>(left) - *static_cast<const int *>(right);
    return 0;
}
