/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_guard.c - the guard under libFuzzer: `make fuzz`.
 *
 *   fuzz_guard --seed FOLDER    writes the seeds there, and ends
 *   fuzz_guard FOLDER ...       libFuzzer's own arguments
 *
 * Half of the changes are libFuzzer's, half those of replies.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replies.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static int write_seeds(const char *folder)
{
    static struct bytes b;

    for (unsigned i = 0; replies_seed(i, &b); i++) {
        char path[4096];
        FILE *file;

        snprintf(path, sizeof path, "%s/seed-%02u", folder, i);
        file = fopen(path, "wb");
        if (file == NULL || fwrite(b.data, 1, b.n, file) != b.n ||
            fclose(file) != 0) {
            perror(path);
            return 1;
        }
    }
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    if (*argc == 3 && strcmp((*argv)[1], "--seed") == 0)
        exit(write_seeds((*argv)[2]));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    replies_try(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    static struct bytes b;
    uint64_t random = seed;

    if (seed % 2 == 0 || size > sizeof b.data || max_size > sizeof b.data)
        return LLVMFuzzerMutate(data, size, max_size);
    b.n = size;
    memcpy(b.data, data, size);
    replies_change(&b, &random);
    if (b.n > max_size)
        b.n = max_size;
    memcpy(data, b.data, b.n);
    return b.n;
}
