/* SPDX-License-Identifier: Apache-2.0 */
/* lib/problem.h - what is wrong with something of the user's, in words. */
#ifndef STL_PROBLEM_H
#define STL_PROBLEM_H

#include <stdbool.h>
#include <stdio.h>

enum { STL_PROBLEM_SIZE = 256 };

/* In a function with the parameter `problem`, of that size: say it there.
 * Answers false. */
#define FAULT(...) (snprintf(problem, STL_PROBLEM_SIZE, __VA_ARGS__), false)

#endif /* STL_PROBLEM_H */
