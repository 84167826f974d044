// raw_checks KIND: what absl's own code calls where a CHECK would need too much.
#include <absl/base/internal/raw_logging.h>
#include <string>

[[gnu::noinline]] void ship(const int *order) { ABSL_RAW_CHECK(order != nullptr, "no order"); }
[[gnu::noinline]] void close_journal() { ABSL_RAW_LOG(FATAL, "the journal is lost"); }

int main(int, char **words) {
    if (std::string(words[1]) == "check")
        ship(nullptr);
    close_journal();
}
