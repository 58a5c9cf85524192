/* SPDX-License-Identifier: Apache-2.0 */
/* argument.c - what the test programs' options have in common. */
#include "tests/harness/argument.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { EX_USAGE = 64 };

int64_t argument_number(const char *name, const char *text, int64_t least,
                        int64_t most)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && value >= least &&
        value <= most)
        return value;
    fprintf(stderr,
            "%s: --%s: '%s' is no number from %" PRId64 " to %" PRId64 "\n",
            program_invocation_short_name, name, text, least, most);
    exit(EX_USAGE);
}
