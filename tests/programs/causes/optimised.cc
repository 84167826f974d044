// optimised BUG: faults whose functions an optimiser has taken off the stack. Built with -O2.
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>

namespace {

volatile int one = 1;
char *volatile hidden = nullptr;

// Its last call is a jump, so that its frame is gone when abort runs.
[[gnu::noinline]] void give_up() { abort(); }
[[gnu::noinline]] int settle(int sum) {
    if (sum >= one)
        give_up();
    return sum;
}

// All of these are inlined.
void copy_name(const char *name) {
    char field[12];
    hidden = field;
    char *to = hidden;
    while (*name)
        *to++ = *name++;
    hidden = field;
}

void check(int lines) { assert(lines > 3); }

int discount(const int *order) { return *order * one; }

void release(char *buffer) {
    free(buffer);
    one = 2;
}

const std::map<std::string, std::function<void()>> bugs = {
    {"settle", [] { one = settle(7) + 1; }},
    {"name", [] { copy_name("a customer with a name far longer than twelve bytes, and then some"); }},
    {"check", [] { check(one); }},
    {"discount", [] { one = discount(reinterpret_cast<int *>(hidden)); }},
    // The size before it leads malloc to another heap, of which nothing is there.
    {"release", [] { static char wrong[64]; wrong[24] = '\x25'; hidden = wrong + 32; release(hidden); }},
};

}  // namespace

int main(int, char **words) { bugs.at(words[1])(); }
