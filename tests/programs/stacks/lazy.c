// Calls a function that the dynamic linker looks up then, which crashes the one who chooses it (see library.c).
int chosen(int);

__attribute__((noinline)) int caller(int number)
{
    volatile int kept[4] = {number};
    return chosen(kept[0]) + 1;
}

int main(int count, char **words)
{
    (void)words;
    return caller(count) + 2;
}
