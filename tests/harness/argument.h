/* SPDX-License-Identifier: Apache-2.0 */
/* argument.h - what the test programs' options have in common. */
#ifndef STATOR_TESTS_ARGUMENT_H
#define STATOR_TESTS_ARGUMENT_H

#include <stdint.h>

/* The value of --`name`: a whole number from `least` to `most`, or the end of
 * the program with a line on stderr and the code 64. */
int64_t argument_number(const char *name, const char *text, int64_t least,
                        int64_t most);

#endif /* STATOR_TESTS_ARGUMENT_H */
