// Dies in the way that its first argument names, in a thread of its own if the second is "thread".
#include <cassert>
#include <cfenv>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Order {
    int number;
    double amount[600];
};

struct OrderError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Read through these: the compiler must not see what is wrong.
Order *volatile no_order;
void (*volatile no_handler)();
volatile int zero;
volatile unsigned long wild = 0x1122334455667788;
const char message[] = "constant";

[[gnu::noinline]] int null_read(const Order *order) { return order->number + 1; }

[[gnu::noinline]] int deep(int level) {
    volatile char buffer[512];
    buffer[0] = static_cast<char>(level);
    return deep(level + 1) + buffer[0];
}

[[gnu::noinline]] void smash(const char *text) {
    volatile char small[8];
    for (int at = 0; text[at]; ++at) small[at] = text[at];
}

[[gnu::noinline]] void truncated_file() {
    char name[] = "/tmp/corebox-faults-XXXXXX";
    int file = mkstemp(name);
    if (ftruncate(file, 8192)) _exit(1);
    auto *data = static_cast<char *>(mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file, 0));
    if (ftruncate(file, 0)) _exit(1);
    unlink(name);
    zero = data[4096];
}

[[gnu::noinline]] void double_free() {
    char *volatile block = static_cast<char *>(malloc(4000));
    char *volatile wall = static_cast<char *>(malloc(16));
    free(block);
    free(block);
    free(wall);
}

struct Shape {
    Shape() { draw(); }
    void draw() { paint(); }
    virtual void paint() = 0;
};

struct Circle : Shape {
    void paint() override { zero = 1; }
};

[[gnu::noinline]] void unmapped() {
    void *page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page, 4096);
    zero = *static_cast<volatile int *>(page);
}

// seccomp(2): kill the process at getppid.
[[gnu::noinline]] void forbidden() {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter = {4, program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
    syscall(SYS_getppid);
}

[[gnu::noinline]] void overlong_copy() {
    char small[8];
    snprintf(small, 1000 + zero, "%s", message);
    printf("%s\n", small);
}

[[gnu::noinline]] void beyond_the_end() {
    std::vector<int> few(3);
    zero = few[3 + zero];
}

[[gnu::noinline]] void float_divide() {
    feenableexcept(FE_DIVBYZERO);
    volatile double one = 1;
    volatile double quotient = one / zero;
    (void)quotient;
}

[[gnu::noinline, gnu::optimize("O0")]] void among_containers() {
    std::string words = "an order";
    std::vector<int> numbers{1, 2, 3};
    std::map<std::string, int> amounts{{"screws", 40}, {"nails", 7}};
    numbers[0] = null_read(no_order);
}

// A fault at an instruction that names the pointer, whatever the compiler makes of the rest.
[[gnu::noinline]] void use(void *memory) {
#ifdef __x86_64__
    asm volatile("mov (%0,%1), %%eax" : : "r"(memory), "r"(wild) : "rax");
#endif
}

[[gnu::noinline]] void use_chunk(size_t size, bool freed) {
    void *volatile chunk = malloc(size), *volatile wall = malloc(size);  // which keeps it from what is behind
    if (freed)
        free(chunk);
    use(chunk);
    free(wall);
}

const std::map<std::string, std::function<void()>> faults = {
    {"null-read", [] { printf("%d\n", null_read(no_order)); }},
    {"null-call", [] { no_handler(); }},
    {"wild-call", [] { reinterpret_cast<void (*)()>(wild >> 20)(); }},
    {"wild-read", [] { zero = *reinterpret_cast<volatile int *>(wild >> 20); }},
    {"non-canonical", [] { zero = *reinterpret_cast<volatile int *>(wild); }},
    {"read-only", [] { *const_cast<volatile char *>(message) = 'x'; }},
    {"stack-overflow", [] { zero = deep(0); }},
    {"abort", [] { abort(); }},
    {"assert", [] { assert(no_order != nullptr && "an order"); }},
    {"double-free", double_free},
    {"smash", [] { smash("far too long for eight bytes, and for what lies behind them on the stack"); }},
    {"throw", [] { throw OrderError("order 42 has no customer"); }},
    {"throw-int", [] { throw 42; }},
    {"bad-alloc", [] { zero = static_cast<int>(std::vector<char>(1UL << 46).size()); }},
    {"truncated-file", truncated_file},
    {"divide", [] { zero = 1000 / zero; }},
    {"trap", [] { __builtin_trap(); }},
    {"containers", among_containers},
    {"pure-virtual", [] { Circle(); }},
    {"terminate", [] { std::thread(pause).~thread(); }},
    {"invalid-free", [] { free(reinterpret_cast<void *>(0x10 + reinterpret_cast<unsigned long>(malloc(4000)))); }},
    {"chunk-in-use", [] { use_chunk(1000, false); }},
    {"chunk-in-a-cache", [] { use_chunk(200, true); }},
    {"chunk-in-a-bin", [] { use_chunk(5000, true); }},
    {"fortify", overlong_copy},
    {"library-check", beyond_the_end},
    {"unmapped", unmapped},
    {"illegal", [] { asm volatile(".byte 0x0f, 0x04"); }},
    {"raised", [] { raise(SIGTRAP); }},
    {"float-divide", float_divide},
    {"forbidden", forbidden},
    {"killed", [] { if (!fork()) _exit(kill(getppid(), SIGSEGV)); pause(); }},
};

}  // namespace

int main(int count, char **words) {
    prctl(PR_SET_DUMPABLE, 1);
    const auto &fault = faults.at(words[1]);
    if (count > 2 && !strcmp(words[2], "thread"))
        std::thread(fault).join();
    else
        fault();
    return 0;
}
