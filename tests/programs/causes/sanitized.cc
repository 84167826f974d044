// sanitized KIND, built with a sanitizer.
#include <cstdlib>
#include <cstring>
#include <string>

volatile int one = 1;

[[gnu::noinline]] int past_the_end(const int *row) { return row[3 + one]; }
[[gnu::noinline]] int after_free(int *row) {
    free(row);
    return row[one];
}
[[gnu::noinline]] void twice(int *row) {
    free(row);
    free(row);
}
[[gnu::noinline]] int past_the_stack() {
    int row[4] = {1, 2, 3, 4};
    return row[3 + one];
}
[[gnu::noinline]] int read_nothing(const int *row) { return *row; }
[[gnu::noinline]] int shift(int by) { return one << by; }

int main(int, char **words) {
    const std::string kind = words[1];
    auto *row = static_cast<int *>(malloc(16));
    memset(row, 0, 16);
    if (kind == "heap-buffer-overflow")
        return past_the_end(row);
    if (kind == "heap-use-after-free")
        return after_free(row);
    if (kind == "double-free")
        twice(row);
    if (kind == "stack-buffer-overflow")
        return past_the_stack();
    if (kind == "null")
        return read_nothing(nullptr);
    if (kind == "shift")
        return shift(77 * one);
    return 0;
}
