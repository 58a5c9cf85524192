/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - the first reason is kept. */
#include "tests/spec/verdict.h"

#include <stdarg.h>
#include <stdio.h>

bool verdict_fail(verdict_t *verdict, const char *format, ...)
{
    va_list args;

    if (verdict->kind == VERDICT_PASSED) {
        verdict->kind = VERDICT_FAILED;
        va_start(args, format);
        vsnprintf(verdict->text, sizeof verdict->text, format, args);
        va_end(args);
    }
    return false;
}

bool verdict_skip(verdict_t *verdict, const char *format, ...)
{
    va_list args;

    if (verdict->kind == VERDICT_PASSED) {
        verdict->kind = VERDICT_SKIPPED;
        va_start(args, format);
        vsnprintf(verdict->text, sizeof verdict->text, format, args);
        va_end(args);
    }
    return false;
}
