/* Maps every file of a directory and dies: more files than a process may have descriptors. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **words) {
    char path[4096];
    DIR *directory = opendir(words[1]);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        snprintf(path, sizeof path, "%s/%s", words[1], entry->d_name);
        int file = open(path, O_RDONLY);
        mmap(0, 4096, PROT_READ, MAP_PRIVATE, file, 0);
        close(file);
    }
    return *(volatile int *)8;
}
