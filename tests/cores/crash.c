/* Crashes at a known address in the third of three frames, with a second thread asleep and known secrets in
 * memory; with the argument "wait" it waits for gcore instead. Built in many ways by the Makefile beside it. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAP = 256 * 1024, STACK = 128 * 1024 };

static pthread_barrier_t ready;
char *pointed_to_by_data;

static void *sleeper(void *argument)
{
    volatile int local_of_sleeper = 4711;
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return (char *)argument + local_of_sleeper;
}

__attribute__((noinline)) static int fault(volatile int *where, const char *on_heap)
{
    volatile char local_text[] = "local of fault";
    *where = on_heap[0] + local_text[0];
    return *where;
}

__attribute__((noinline)) static int middle(int depth, const char *on_heap)
{
    volatile int local_of_middle = depth * 1000;
    int result = depth ? middle(depth - 1, on_heap) : fault((int *)(uintptr_t)0xdead0, on_heap);
    return result + local_of_middle;
}

int main(int argc, char **argv)
{
    pthread_attr_t small;
    pthread_t thread;
    char *heap = malloc(HEAP), *on_heap;
    /* Of the heap, only the page that a local points to is worth keeping in a slim core. */
    for (int at = 0; at < HEAP; at += 64)
        strcpy(heap + at, "secret of the heap");
    on_heap = heap + HEAP / 2;
    pointed_to_by_data = heap + HEAP - 64;
    pthread_barrier_init(&ready, NULL, 2);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_create(&thread, &small, sleeper, argv);
    pthread_barrier_wait(&ready);
    if (argc > 1 && !strcmp(argv[1], "wait"))
        for (;;)
            pause();
    return middle(2, on_heap);
}
