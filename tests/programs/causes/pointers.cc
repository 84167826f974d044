// pointers KIND: a pointer of a kind leads to a fault.
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

namespace {

struct Shape {
    virtual ~Shape() = default;
    virtual int area() const { return 1; }
};

void *volatile hidden;
volatile int zero = 0;

[[gnu::noinline]] void use_and_fault(void *object) {
    asm volatile("mov %0, %%rdi; mov $0x7000, %%eax; shl $48, %%rax; mov (%%rdi,%%rax), %%eax" : : "r"(object) : "rdi", "rax");
}
[[gnu::noinline]] int draw(const Shape *shape) { return shape->area(); }
[[gnu::noinline]] void overrun(const char *text) {
    char field[8];
    hidden = field;
    for (char *to = static_cast<char *>(hidden); *text; ++text)
        *to++ = *text;
}
[[gnu::noinline]] void store(char *to) { *to = 1; }
[[gnu::noinline]] void jump(unsigned long address) { reinterpret_cast<void (*)()>(address)(); }

void *guard_of_thread() {
    pthread_attr_t attributes;
    void *start;
    size_t size;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &start, &size);
    return static_cast<char *>(start) - 64;
}

}  // namespace

int main(int, char **words) {
    const std::string kind = words[1];
    if (kind == "used-after-free") {
        auto *shape = new Shape;
        hidden = shape;
        delete shape;
        memset(hidden, 0x41, 8);
        return draw(static_cast<Shape *>(hidden));
    }
    if (kind == "freed") {
        void *block = malloc(200), *wall = malloc(16);
        hidden = block;
        free(block);
        use_and_fault(hidden);
        free(wall);
    }
    if (kind == "freed-large") {
        void *block = malloc(5000), *wall = malloc(16);
        hidden = block;
        free(block);
        use_and_fault(hidden);
        free(wall);
    }
    if (kind == "in-use")
        use_and_fault(static_cast<char *>(malloc(1000)) + 8);
    if (kind == "stack") {
        int local = 0;
        std::thread([&] { use_and_fault(&local); }).join();
    }
    if (kind == "guard")
        std::thread([] { store(static_cast<char *>(guard_of_thread())); }).join();
    if (kind == "file") {
        int file = open("/etc/passwd", O_RDONLY);
        store(static_cast<char *>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0)));
    }
    if (kind == "past-the-end") {
        auto *page = static_cast<char *>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        munmap(page + 4096, 4096);
        store(page + 4096 + 16);
    }
    if (kind == "smashed")
        overrun("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    if (kind == "small-call")
        jump(0x1234 + zero);
    return zero;
}
