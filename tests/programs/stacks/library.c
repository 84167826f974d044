// A library that calls back; with an argument of the linker's, a function that is chosen when it is first called.
void enter(void (*called)(void)) { called(); }

static int one(int x) { return x; }
static int (*choose(void))(int) { *(volatile int *)16 = 1; return one; }
int chosen(int) __attribute__((ifunc("choose")));
