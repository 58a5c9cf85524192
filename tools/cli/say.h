/* SPDX-License-Identifier: Apache-2.0 */
/* say.h - what the tool tells people, on stderr, without secrets. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include <stdbool.h>
#include <stdio.h>

typedef enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } say_color_t;

typedef enum { STYLE_BOLD, STYLE_RED, STYLE_GREEN, STYLE_YELLOW } style_t;

/* `name` is the command, "stator load" say; it begins every error. */
void say_setup(const char *name, say_color_t color, bool quiet, bool verbose);

/* What went wrong; always shown. */
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What may be wrong; always shown. */
void say_warning(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* How it goes; not with --quiet. */
void say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Only with --verbose. */
void say_detail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The line that is rewritten in place, on a terminal; NULL takes it away,
 * and so does any of the above, for a moment. */
void say_status(const char *line);

/* The status line is finished: it stays, the next one is another. */
void say_status_done(void);

bool say_is_quiet(void);

/* May `file` be coloured?  By --color, NO_COLOR and what it is. */
bool say_in_color(FILE *file);

/* The escape sequence that begins `style`, or "". */
const char *say_style(FILE *file, style_t style);
const char *say_plain(FILE *file);

/* Send the driver's log to stderr: warnings and errors, and with --verbose
 * all the rest. */
void say_take_driver_log(void);

#endif
