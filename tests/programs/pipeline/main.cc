#include <string>

#include "stages.h"

int main(int, char **arguments) {
    std::string program = arguments[0];
    std::string folder = program.substr(0, program.rfind('/'));
    start_workers(3);
    sort_with((folder + "/../plugins/sorter.so").c_str());
}
