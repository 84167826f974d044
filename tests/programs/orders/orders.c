// Crashes in a function that libc calls, with two threads that wait; C and small, to be compiled for any machine.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct order { int number; struct order *next; };
static __thread volatile int worker_number;
static pthread_barrier_t started;

static void *wait_for_orders(void *argument)
{
    worker_number = *(int *)argument;
    pthread_barrier_wait(&started);
    for (;;)
        pause();
    return NULL;
}

static int compare(const void *left, const void *right)
{
    const struct order *a = *(struct order *const *)left, *b = *(struct order *const *)right;
    return a->number - b->next->number;
}

int main(void)
{
    static int numbers[] = {1, 2};
    struct order first = {1, NULL}, second = {2, NULL};
    struct order *orders[] = {&first, &second};
    pthread_t threads[2];
    pthread_barrier_init(&started, NULL, 3);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, wait_for_orders, &numbers[i]);
    pthread_barrier_wait(&started);
    qsort(orders, 2, sizeof *orders, compare);
    return first.number;
}
