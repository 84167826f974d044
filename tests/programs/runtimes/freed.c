// Frees what was not allocated, in a function that was called, in one that was called by a pointer, or in main.
#include <stdlib.h>
#include <string.h>

struct order { char *name; int number; };

__attribute__((noinline)) static void drop(struct order *order) { free(order->name); order->number++; }
__attribute__((noinline)) static void cancel(struct order *order) { drop(order); order->number++; }
static void (*volatile dropper)(struct order *) = drop;

int main(int count, char **words)
{
    struct order order = {(char *)malloc(100) + 8, count};
    if (!strcmp(words[1], "called")) cancel(&order);
    if (!strcmp(words[1], "pointed")) dropper(&order);
    if (!strcmp(words[1], "main")) free(order.name);
    return order.number;
}
