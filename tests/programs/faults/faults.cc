// Dies in the way that its first argument names, in a thread of its own if the second is "thread".
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
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
    char small[8];
    strcpy(small, text);
    printf("%s\n", small);
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
    {"killed", [] { kill(getpid(), SIGSEGV); pause(); }},
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
