/* Dies of FAULT. Optimised, gcc makes copies of its functions (.constprop, .isra, .part, .cold). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct order { long number, price; const char *name; };

static volatile int zero;

__attribute__((noinline)) static long take(const struct order *order, int scale)
{
    if (scale != 3) /* always called with 3 */
        abort();
    return order->price * scale;
}

__attribute__((noinline)) static size_t length(const struct order *order)
{
    return strlen(order->name) + 1;
}

__attribute__((noinline)) static void check(const struct order *order)
{
    assert(order->number >= 0);
    assert(order->price >= 0);
}

static int compare(const void *left, const void *right)
{
    if (*(const int *)left == *(const int *)right)
        abort();
    return *(const int *)left - *(const int *)right;
}

static int odd(int level);

__attribute__((noinline)) static int even(int level)
{
    volatile char used[300];
    used[0] = (char)level;
    return odd(level + 1) + used[0];
}

__attribute__((noinline)) static int odd(int level)
{
    volatile char used[200];
    used[0] = (char)level;
    return even(level + 1) + used[0];
}

int main(int count, char **words)
{
    struct order order = {FAULT == 3 ? -1 : count, FAULT == 4 ? -1 : count, FAULT == 2 ? (char *)(long)zero : *words};
    int values[] = {5, 3, 4, 3, count};
    if (FAULT == 1)
        return (int)take((struct order *)(long)zero, 3);
    if (FAULT == 2)
        return (int)length(&order);
    if (FAULT == 5)
        qsort(values, 5, sizeof *values, compare);
    if (FAULT == 6)
        return even(0);
    check(&order);
    return 0;
}
