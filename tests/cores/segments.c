/* Aborts with 70,000 mappings, more than e_phnum of an ELF header can count (PN_XNUM). */
#include <stdlib.h>
#include <sys/mman.h>

enum { MAPPINGS = 70000, PAGE = 4096 };

int main(void)
{
    char *area = mmap(NULL, (size_t)MAPPINGS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int page = 0; page < MAPPINGS; page += 2)
        mprotect(area + (size_t)page * PAGE, PAGE, PROT_READ);
    abort();
}
