// race, built with ThreadSanitizer: two threads count in one variable.
#include <thread>

int counted;
[[gnu::noinline]] void bump() {
    for (int i = 0; i < 1000; ++i)
        counted++;
}

int main() {
    std::thread one(bump), two(bump);
    one.join();
    two.join();
    return 0;
}
