// Dies in a callback of the C library's qsort, with a second thread; editors show it.
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct item {
    int key;
    const char *name;
};

static void *idle(void *unused) {
    (void)unused;
    for (;;) pause();
}

static int compare(const void *left, const void *right) {
    const struct item *first = left, *second = right;
    int *nothing = 0;
    if (first->key == 2) *nothing = second->key;  // it dies here
    return first->key - second->key;
}

int main(void) {
    struct item items[] = {{3, "three"}, {2, "two"}, {1, "one"}};
    pthread_t thread;
    pthread_create(&thread, 0, idle, 0);
    qsort(items, 3, sizeof *items, compare);
    return 0;
}
